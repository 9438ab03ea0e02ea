import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { startTimeOf } from '../lock.mjs';
import { readIfThere, replaceJson } from '../stack/files.ts';

/** One process of the stack, named so that its pid cannot be mistaken for a later process's. */
export interface Registered {
  name: string;
  pid: number;
  /** From startTimeOf: with the pid, unique. */
  started: string;
  kind: ProcessKind;
  /** What asks it to stop. */
  stopSignal: NodeJS.Signals;
}

/** Services stop before the servers that they need. */
export type ProcessKind = 'service' | 'server';

const shape = z.object({
  supervisor: z.number(),
  processes: z.array(
    z.object({
      name: z.string(),
      pid: z.number(),
      started: z.string(),
      kind: z.enum(['service', 'server']),
      stopSignal: z.custom<NodeJS.Signals>(value => typeof value === 'string'),
    }),
  ),
});

/** The file that says which processes a supervisor has started and not yet seen end. */
export interface Register {
  add(process: Registered): void;
  remove(pid: number): void;
  all(): readonly Registered[];
}

export function openRegister(path: string): Register {
  const processes = new Map<number, Registered>();
  const save = () => replaceJson(path, { supervisor: process.pid, processes: [...processes.values()] });
  save();
  return {
    add(added) {
      processes.set(added.pid, added);
      save();
    },
    remove(pid) {
      if (processes.delete(pid)) save();
    },
    all: () => [...processes.values()],
  };
}

/** What a register says, or nothing where there is none. */
export function readRegister(path: string): z.infer<typeof shape> | undefined {
  const text = readIfThere(path);
  return text === undefined ? undefined : shape.parse(JSON.parse(text));
}

export function isAlive(process: Registered): boolean {
  return startTimeOf(process.pid) === process.started;
}

/**
 * Ends the processes that a supervisor left behind, services first: asks, waits up to `graceMs`, then kills.
 * Returns how many were still there.
 */
export async function sweep(left: readonly Registered[], graceMs: number): Promise<number> {
  const alive = left.filter(isAlive);
  for (const kind of ['service', 'server'] as const) {
    const some = alive.filter(process => process.kind === kind);
    for (const process of some) signal(process, process.stopSignal);
    for (const process of some) signal(process, 'SIGCONT'); // a paused one would never hear it
    await allGone(some, graceMs);
    for (const process of some.filter(isAlive)) signal(process, 'SIGKILL');
    await allGone(some, 5_000);
  }
  return alive.length;
}

async function allGone(processes: readonly Registered[], withinMs: number): Promise<void> {
  const deadline = Date.now() + withinMs;
  while (processes.some(isAlive) && Date.now() < deadline) await sleep(50);
}

function signal(target: Registered, name: NodeJS.Signals): void {
  try {
    if (isAlive(target)) process.kill(target.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
  }
}
