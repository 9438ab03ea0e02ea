import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { mkdir, readdir, readFile, rmdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import type { Report } from '../../../dev/stack/trouble.ts';
import { until } from '../../support/until.ts';
import { nodeFiles } from './configuration.ts';

const run = promisify(execFile);

/** Lives in the node's own network namespace only. */
export const nodeAddress = '10.89.0.2';
const cgroupName = 'penstock-cluster';
const processesOfNode = 24;

export interface NodeOptions {
  /** Absolute; holds everything that the node writes. It must be short enough for Unix sockets, and new. */
  folder: string;
  /** The folder of `nodePrograms`. */
  programs: string;
  report: Report;
}

/** A Kubernetes node of one machine, in namespaces of its own. */
export interface ClusterNode {
  /** The command line that runs a command in the node's network namespace, with the cluster's name server. */
  inside(command: string, args: readonly string[]): [string, string[]];
  /** Imports an image archive into the node. */
  load(archive: string): Promise<void>;
  env: Readonly<Record<string, string>>;
  /** Ends it, by the first process of its namespaces, and removes its control groups. */
  stop(): Promise<void>;
}

/** Starts a node with the images in `<folder>/images` and resolves when it is Ready. */
export async function startNode({ folder, programs, report }: NodeOptions): Promise<ClusterNode> {
  for (const name of ['pki', 'log', 'images', 'cni/net.d']) await mkdir(join(folder, name), { recursive: true });
  for (const [name, text] of Object.entries(nodeFiles(folder))) await writeFile(join(folder, name), text);
  const script = (name: string) => join(import.meta.dirname, name);
  const kubectl = join(programs, 'kubectl');
  await run('bash', [script('pki.sh'), nodeAddress, kubectl], { cwd: join(folder, 'pki') });
  const groups = await makeControlGroups(folder);
  const made = await makePrivateFolders(folder);
  const log = openSync(join(folder, 'log/node.log'), 'a');
  const outer = spawn('bash', [script('enter.sh')], {
    env: { ...process.env, RUN: folder, PROGRAMS: programs, NODE_IP: nodeAddress },
    stdio: ['ignore', log, log],
    detached: true, // a terminal's Ctrl-C is for the test, which then takes it down
  });
  closeSync(log);
  const stop = async () => {
    await end(outer);
    await removeControlGroups(groups);
    for (const path of made) await rmdir(path);
  };
  try {
    const first = await until('the first process of the node', () => childOf(outer.pid ?? 0), 10_000, 50);
    const env = { RUN: folder, KUBECONFIG: join(folder, 'pki/admin.conf'), PATH: `${programs}:${process.env.PATH}` };
    const enter = (namespaces: readonly string[]) => ['-t', String(first), ...namespaces, '--'];
    const node: ClusterNode = {
      env,
      inside: (command, args) => [
        'setpriv',
        ['--pdeathsig', 'KILL', '--', 'nsenter', ...enter(['-n']), 'bash', script('inside.sh'), command, ...args],
      ],
      async load(archive) {
        const socket = ['-a', '/run/containerd/containerd.sock', '-n', 'k8s.io'];
        await run('nsenter', [...enter(['-m', '-p', '-n']), 'ctr', ...socket, 'images', 'import', archive]);
      },
      stop,
    };
    await isReady(node, outer, report);
    return node;
  } catch (error) {
    await stop();
    throw error;
  }
}

async function isReady(node: ClusterNode, outer: ChildProcess, report: Report): Promise<void> {
  const ask = (...args: string[]) => {
    if (outer.exitCode !== null || outer.signalCode !== null) throw new Error('the node has ended: see log/node.log');
    const [command, all] = node.inside('kubectl', args);
    return run(command, all, { env: { ...process.env, ...node.env } }).then(
      () => true,
      () => false,
    );
  };
  await until('the API server', () => ask('get', '--raw', '/readyz'), 120_000, 300);
  report('the API server answers');
  await until(
    'the node to be Ready',
    () => ask('wait', '--for=condition=Ready', 'node/node1', '--timeout=1s'),
    180_000,
  );
  await until('the default service account', () => ask('get', 'serviceaccount', 'default'), 60_000, 300);
  report('the node is Ready');
}

/** Where the kubelet and the CNI plug-ins write, whatever they are told. */
const written = ['/var/log/pods', '/var/log/containers', '/var/lib/kubelet', '/var/lib/cni'];

/**
 * Gives the node folders of its own for those that are {@link written}. What they are mounted over has to be there: returns the
 * paths that had to be made for it.
 */
async function makePrivateFolders(folder: string): Promise<string[]> {
  const made = written.filter(path => !existsSync(path));
  const lines: string[] = [];
  for (const path of written) {
    const inside = join(folder, 'private', path);
    await mkdir(inside, { recursive: true });
    await mkdir(path, { recursive: true });
    lines.push(`${path} ${inside}\n`);
  }
  await writeFile(join(folder, 'mounts'), lines.join(''));
  return made;
}

/** Makes a group below ours in each hierarchy of cgroup v1, so that limits of this machine still hold. @returns their folders. */
async function makeControlGroups(folder: string): Promise<string[]> {
  const lines: string[] = [];
  const folders: string[] = [];
  for (const line of readFileSync('/proc/self/cgroup', 'utf8').trim().split('\n')) {
    const [, controllers = '', path = '/'] = line.split(':');
    const root = join('/sys/fs/cgroup', controllers.replace('name=', ''));
    if (controllers === '' || !existsSync(root)) continue;
    const group = join(root, path, cgroupName);
    await removeControlGroups([group]); // what a run that was killed has left
    await mkdir(group);
    if (controllers === 'cpuset') {
      for (const name of ['cpuset.cpus', 'cpuset.mems']) {
        await writeFile(join(group, name), await readFile(join(dirname(group), name)));
      }
    }
    // Beside what else runs on the machine the node weighs as much as that many processes, not as one.
    if (controllers === 'cpu') await writeFile(join(group, 'cpu.shares'), String(1_024 * processesOfNode));
    lines.push(`${controllers} ${group}\n`);
    folders.push(group);
  }
  await writeFile(join(folder, 'cgroups'), lines.join(''));
  return folders;
}

/** A group can be removed when its last process is gone and it has no group below it. */
async function removeControlGroups(groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    for (let attempt = 1; existsSync(group); attempt++) {
      await removeTree(group);
      if (attempt > 100) throw new Error(`${group} cannot be removed: something runs in it`);
      if (existsSync(group)) await sleep(100);
    }
  }
}

async function removeTree(folder: string): Promise<void> {
  const entries = await readdir(folder, { withFileTypes: true }).catch(() => []);
  for (const entry of entries) if (entry.isDirectory()) await removeTree(join(folder, entry.name));
  await rmdir(folder).catch(() => undefined); // busy: tried again
}

function childOf(pid: number): number | undefined {
  try {
    const child = Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim().split(' ')[0]);
    return child > 0 && readFileSync(`/proc/${pid}/comm`, 'utf8').startsWith('unshare') ? child : undefined;
  } catch {
    return undefined;
  }
}

/** Killing `unshare` kills the first process of its PID namespace, and that everything. */
async function end(outer: ChildProcess): Promise<void> {
  if (outer.exitCode !== null || outer.signalCode !== null) return;
  const gone = once(outer, 'exit');
  outer.kill('SIGKILL');
  await gone;
}
