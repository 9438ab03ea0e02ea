import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';

/** A machine that is full for longer would keep it from ever starting. */
const behindAtMostMs = 3_000;
/** Whoever is not root may set the nice value of a session ten times a second. */
const againAfterMs = 150;

/**
 * Linux shares its cores between sessions first, and between the threads of one session then (sched(7), autogroup).
 * @param nice from -20 (first) to 19 (last); below 0 only for root.
 * @returns whether it was set; other systems, and some kernels, can't.
 */
export function setSessionNice(pid: number | 'self', nice: number): boolean {
  try {
    writeFileSync(`/proc/${pid}/autogroup`, String(nice));
    return true;
  } catch {
    return false;
  }
}

/**
 * Has a process that leads a session go behind all others until it has `started`, or for 3 s: what it takes to load its modules
 * is taken from those that serve, where all share two cores (bench/README.md, Gaps).
 */
export async function startBehind(pid: number, started: Promise<unknown>): Promise<void> {
  if (!setSessionNice(pid, constants.priority.PRIORITY_LOW)) return;
  const end = new AbortController();
  const late = sleep(behindAtMostMs, undefined, { signal: end.signal }).catch(() => undefined);
  await Promise.race([started, late]);
  end.abort();
  while (!setSessionNice(pid, 0) && existsSync(`/proc/${pid}`)) await sleep(againAfterMs);
}

/** Has the threads in which V8 compiles and collects garbage beside a program go behind it and all others. */
export function putHelpersLast(pid: number): void {
  try {
    for (const thread of readdirSync(`/proc/${pid}/task`)) {
      const name = readFileSync(`/proc/${pid}/task/${thread}/comm`, 'utf8').trim();
      if (name === 'V8Worker') setPriority(Number(thread), constants.priority.PRIORITY_LOW);
    }
  } catch {
    // it has gone, or this is not Linux
  }
}
