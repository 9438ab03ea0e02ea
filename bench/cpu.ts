import { readdirSync, readFileSync } from 'node:fs';
import type { Stack } from '../test/support/stack.ts';

/** CPU time by who used it, s since each began; `machine` is all that the machine's cores did. Linux only. */
export type CpuTimes = ReadonlyMap<string, number>;

const ticksPerSecond = 100;
const servers = ['kafka-1', 'redis', 'postgres'];

/** @param others processes that are not the stack's, by pid. */
export function cpuTimesOf(stack: Stack, others: ReadonlyMap<number, string>): CpuTimes {
  const processes = new Map(readProcesses().map(process => [process.pid, process]));
  const owners = new Map<number, string>([[process.pid, 'load generator'], ...others]);
  for (const { name, pid } of stack.processes()) owners.set(pid, name);
  for (const name of servers) owners.set(stack.pid(name) ?? -1, name);
  const times = new Map<string, number>([['machine', machineSeconds()]]);
  for (const { pid, seconds } of processes.values()) {
    const owner = owners.get(pid) ?? postgresOf(pid);
    if (owner !== undefined) times.set(owner, (times.get(owner) ?? 0) + seconds);
  }
  return times;

  /** PostgreSQL's work is done by children of the process that the stack knows. */
  function postgresOf(pid: number): string | undefined {
    const parent = processes.get(pid)?.parent;
    return parent !== undefined && owners.get(parent) === 'postgres' ? 'postgres' : undefined;
  }
}

/** What was used in between, in percent of one core, the most first. */
export function cpuShares(before: CpuTimes, after: CpuTimes, seconds: number): string {
  return [...after]
    .map(([name, time]) => ({ name, percent: ((time - (before.get(name) ?? 0)) / seconds) * 100 }))
    .filter(({ percent }) => percent >= 1)
    .sort((a, b) => b.percent - a.percent)
    .map(({ name, percent }) => `${name} ${percent.toFixed(0)} %`)
    .join(', ');
}

function readProcesses(): { pid: number; parent: number; seconds: number }[] {
  return readdirSync('/proc')
    .filter(name => /^\d+$/.test(name))
    .flatMap(name => {
      try {
        const stat = readFileSync(`/proc/${name}/stat`, 'utf8');
        const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
        const ticks = Number(fields[11]) + Number(fields[12]);
        return [{ pid: Number(name), parent: Number(fields[1]), seconds: ticks / ticksPerSecond }];
      } catch {
        return []; // It has ended meanwhile.
      }
    });
}

function machineSeconds(): number {
  const [line = ''] = readFileSync('/proc/stat', 'utf8').split('\n');
  const ticks = line.trim().split(/\s+/).slice(1, 9).map(Number);
  const [idle = 0, waiting = 0] = ticks.slice(3, 5);
  return (ticks.reduce((sum, each) => sum + each, 0) - idle - waiting) / ticksPerSecond;
}
