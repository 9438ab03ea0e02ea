import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../../support/until.ts';
import { dropping, type End } from './rules.ts';
import { socketsOf } from './sockets.ts';

/** Which packets are lost between two processes: both ways, only those to the other, or only those from it. */
export type Direction = 'both' | 'to' | 'from';

/** A link on which packets vanish: no RST, no refusal, connections stay open. */
export interface Silence {
  /** Packets that were dropped so far. */
  dropped(): Promise<number>;
  heal(): Promise<void>;
}

const run = promisify(execFile);
let made = 0;

/** Why this machine can't; undefined where it can. */
export async function whyNoSilence(): Promise<string | undefined> {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root';
  if (cgroups() === undefined) return 'needs cgroup2 mounted below /sys/fs/cgroup';
  const cgroup = openCgroup();
  if (typeof cgroup === 'string') return cgroup;
  try {
    const table = 'inet penstock_probe';
    const rule = `add rule ${table} sent socket cgroupv2 level ${cgroup.level} "${cgroup.name}" drop`;
    const probe = spawn('nft', ['-c', '-f', '-'], { stdio: ['pipe', 'ignore', 'pipe'] });
    probe.stdin.end(`add table ${table}\n${chains(table).join('\n')}\n${rule}\n`);
    let said = '';
    probe.stderr.on('data', chunk => (said += chunk));
    const [code] = await once(probe, 'close');
    return code === 0 ? undefined : `nft refuses: ${said.trim().split('\n')[0]}`;
  } catch {
    return 'needs nft (Debian: nftables)';
  } finally {
    cgroup.close();
  }
}

/**
 * Makes the loopback link between two processes silent. The rules belong to an nft process of ours and vanish with it, so
 * also when this process is killed. @throws when nft refuses.
 */
export async function silence(pid: number, otherPid: number, direction: Direction): Promise<Silence> {
  const ours = openCgroup();
  const theirs = openCgroup();
  if (typeof ours === 'string' || typeof theirs === 'string') throw new Error(`no cgroup: ${ours} ${theirs}`);
  ours.take(pid);
  theirs.take(otherPid);
  const end = ({ name, level }: Cgroup, of: number): End => ({ cgroup: name, level, sockets: socketsOf(of) });
  const [one, other] = [end(ours, pid), end(theirs, otherPid)];
  const table = `inet penstock_${process.pid}_${++made}`;
  const rules = [
    ...(direction === 'from' ? [] : dropping(table, one, other)),
    ...(direction === 'to' ? [] : dropping(table, other, one)),
  ];
  const nft = spawn('nft', ['-i'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const closed = once(nft, 'close');
  const heal = async () => {
    nft.stdin.end();
    await closed;
    ours.close();
    theirs.close();
  };
  try {
    await apply(nft, table, rules);
  } catch (error) {
    await heal();
    throw error;
  }
  return { heal, dropped: async () => (await counters(table)).reduce((sum, packets) => sum + packets, 0) };
}

function chains(table: string): string[] {
  return [
    `add chain ${table} sent { type filter hook output priority 0; }`,
    `add chain ${table} got { type filter hook input priority 0; }`,
  ];
}

async function apply(nft: ChildProcess, table: string, rules: readonly string[]): Promise<void> {
  let said = '';
  nft.stderr?.on('data', chunk => (said += chunk));
  nft.stdin?.write(`create table ${table} { flags owner; }\n${[...chains(table), ...rules].join('\n')}\n`);
  await until('nft to have taken every rule', async () => {
    if (said !== '') throw new Error(`nft: ${said.trim().split('\n')[0]}`);
    return (await counters(table).catch(() => [])).length === rules.length;
  });
}

/** Packets of each rule. */
async function counters(table: string): Promise<number[]> {
  const { stdout } = await run('nft', ['list', 'table', ...table.split(' ')]);
  return [...stdout.matchAll(/counter packets (\d+)/g)].map(([, packets]) => Number(packets));
}

interface Cgroup {
  name: string;
  level: number;
  /** Moves a process in. */
  take(pid: number): void;
  /** Puts the processes back where they came from. */
  close(): void;
}

/** Where cgroup2 is mounted; nft knows groups by their path below /sys/fs/cgroup. */
function cgroups(): string | undefined {
  const line = readFileSync('/proc/self/mounts', 'utf8')
    .split('\n')
    .find(mount => mount.split(' ')[2] === 'cgroup2');
  const folder = line?.split(' ')[1];
  return folder?.startsWith('/sys/fs/cgroup') ? folder : undefined;
}

function openCgroup(): Cgroup | string {
  const mount = cgroups();
  if (mount === undefined) return 'no cgroup2';
  const folder = join(mount, `penstock-${process.pid}-${++made}`);
  try {
    mkdirSync(folder);
  } catch (error) {
    return `no cgroup of our own: ${error instanceof Error ? error.message : error}`;
  }
  const inside = join(folder, 'cgroup.procs');
  const home = new Map<number, string>();
  return {
    name: folder.slice('/sys/fs/cgroup/'.length),
    level: 1,
    take(pid) {
      const path = /^0::(.*)$/m.exec(readFileSync(`/proc/${pid}/cgroup`, 'utf8'))?.[1] ?? '/';
      home.set(pid, join(mount, path, 'cgroup.procs'));
      writeFileSync(inside, String(pid));
    },
    close() {
      const [procs = inside] = home.values();
      // children that were born there, such as PostgreSQL's, go home after their parent
      for (
        let pids = [...home.keys()].map(String);
        pids.length > 0;
        pids = readFileSync(inside, 'utf8').split('\n').filter(Boolean)
      ) {
        for (const pid of pids) if (existsSync(`/proc/${pid}`)) writeFileSync(home.get(Number(pid)) ?? procs, pid);
      }
      rmdirSync(folder);
    },
  };
}
