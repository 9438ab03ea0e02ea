/** Programs that are built from Go modules. `go` compares each module with the public checksum database, or with our go.sum. */
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, platform, runOr, ToolMissing } from './cache.ts';
import { goOfWheel } from './wheels.ts';

const installed = [
  'github.com/yannh/kubeconform/cmd/kubeconform@v0.8.0',
  'github.com/zegl/kube-score/cmd/kube-score@v1.20.0',
];
/** Its module replaces one of its dependencies, which `go install` refuses: it is built from a module of ours. */
const helmUnittestModule = join(import.meta.dirname, 'helm-unittest');
const helmUnittestPath = 'github.com/helm-unittest/helm-unittest/cmd/helm-unittest';

/** Returns the path of kubeconform. @throws ToolMissing */
export const kubeconform = async (): Promise<string> => join(await goPrograms(), 'kubeconform');
/** Returns the path of kube-score. @throws ToolMissing */
export const kubeScore = async (): Promise<string> => join(await goPrograms(), 'kube-score');
/** Returns the path of helm-unittest, which renders by a Helm of its own. @throws ToolMissing */
export const helmUnittest = async (): Promise<string> => join(await goPrograms(), 'helm-unittest');

/**
 * Returns the folder of all these programs. They are built together, since most of what is compiled is Go's own library. The caches for
 * it take up to a GB and go when it is done: a test leaves nothing outside our cache.
 */
function goPrograms(): Promise<string> {
  return (programs ??= buildPrograms());
}

/** One attempt a process: what failed for one program would take as long to fail for the next. */
let programs: Promise<string> | undefined;

async function buildPrograms(): Promise<string> {
  const stamp = createHash('sha256').update(installed.join('\n'));
  for (const file of ['go.mod', 'go.sum']) stamp.update(await readFile(join(helmUnittestModule, file)));
  return cached(`go-${stamp.digest('hex').slice(0, 12)}-${platform}`, async draft => {
    const go = await goCommand();
    const work = join(draft, 'work');
    await mkdir(work);
    const env = {
      ...process.env,
      ...{ GOBIN: draft, GOPATH: join(work, 'path'), GOMODCACHE: join(work, 'modules'), GOCACHE: join(work, 'built') },
      ...{ CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false -modcacherw' },
    };
    const strip = ['-trimpath', '-ldflags', '-s -w'];
    const run = (otherwise: string, args: readonly string[]) => runOr(otherwise, go, args, { cwd: work, env });
    for (const program of installed) await run(`go install ${program}`, ['install', ...strip, program]);
    const build = ['build', '-C', helmUnittestModule, ...strip, '-o', join(draft, 'helm-unittest'), helmUnittestPath];
    await run(`helm-unittest: go install ${helmUnittestPath}`, build);
    await rm(work, { recursive: true });
  });
}

/** Returns the machine's Go where it is new enough, else one that comes by name. */
export async function goCommand(): Promise<string> {
  const said = await runOr('', 'go', ['version']).catch(error => {
    if (error instanceof ToolMissing) return '';
    throw error;
  });
  const [, minor = '0'] = /go1\.(\d+)/.exec(said) ?? [];
  return Number(minor) >= 26 ? 'go' : goOfWheel();
}
