import { readFileSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';

/** How much of the machine's cores was used between two times, and by whom, as parts of 1. */
export interface ProcessorUse {
  busy: number;
  /** By the node: Kubernetes and all Pods. */
  node: number;
}

const ticksPerSecond = 100;

/** Begins to measure; returns what says what was used since. @param folder of the node. */
export function measureProcessor(folder: string): () => ProcessorUse {
  const group = /^cpuacct (.*)$/m.exec(readFileSync(join(folder, 'cgroups'), 'utf8'))?.[1] ?? '';
  const now = () => ({
    atMs: performance.now(),
    busySeconds: busySeconds(),
    nodeSeconds: Number(readFileSync(join(group, 'cpuacct.usage'), 'utf8')) / 1e9,
  });
  const before = now();
  return () => {
    const after = now();
    const all = ((after.atMs - before.atMs) / 1_000) * availableParallelism();
    return {
      busy: (after.busySeconds - before.busySeconds) / all,
      node: (after.nodeSeconds - before.nodeSeconds) / all,
    };
  };
}

/** Time that the cores did not idle, nor wait for a disk, since the machine's start. */
function busySeconds(): number {
  const [, ...fields] = readFileSync('/proc/stat', 'utf8').split('\n', 1)[0]?.trim().split(/\s+/) ?? [];
  const [user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0, steal = 0] = fields.map(Number);
  return (user + nice + system + irq + softirq + steal) / ticksPerSecond;
}
