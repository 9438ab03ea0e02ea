import { readFileSync } from 'node:fs';
import { url as debuggerUrl } from 'node:inspector';
import { Worker } from 'node:worker_threads';
import { messageOf } from '../errors.ts';
import type { Logger } from './log.ts';
import type { LogEvent } from './log-events.ts';

/** What the watchdog knows after a tick of its own timer. */
export interface Watched {
  /** The last beat of the event loop that it has seen. */
  beat: number;
  /** How long there has been no other, ms, in time in which the watchdog itself ran. */
  stoodMs: number;
}

/**
 * Returns what the watchdog knows after its next tick. A tick that comes late counts as one interval at most: in the rest of that
 * time the watchdog stood still itself (SIGSTOP, a suspended machine, no processor to be had), so it says nothing about the event loop.
 * @param beat of the event loop, now.
 * @param sinceTickMs time since the last tick, ms.
 */
export function afterTick(before: Watched, beat: number, sinceTickMs: number, intervalMs: number): Watched {
  if (beat !== before.beat) return { beat, stoodMs: 0 };
  return { beat, stoodMs: before.stoodMs + Math.min(sinceTickMs, intervalMs) };
}

interface Watch {
  /** Two cells: beats of the event loop; 1 while a debugger may hold it. */
  shared: Int32Array<SharedArrayBuffer>;
  timeoutMs: number;
  intervalMs: number;
  service: string;
  file: string | undefined;
}

/** Ticks within the time-out. */
const ticks = 20;
const beats = 0;
const debugged = 1;

/** Returns how many processes a watchdog's file remembers. */
export function restartsIn(file: string | undefined): number {
  if (file === undefined) return 0;
  try {
    return readFileSync(file, 'utf8').split('\n').length - 1;
  } catch {
    return 0; // none was ended so far
  }
}

/**
 * Ends this process with SIGKILL when its event loop stands still for `timeoutMs`; 0: never. It does not drain then, which a process that
 * hangs cannot do: its peers notice the death by their connections. A debugger that is attached may hold it for as long as it likes.
 * The watchdog does not keep the process alive.
 * @param options.file gets a line for each process that is ended.
 */
export function openWatchdog(
  service: string,
  { timeoutMs, file }: { timeoutMs: number; file?: string | undefined },
  log: Logger,
): void {
  if (timeoutMs === 0) return;
  const intervalMs = Math.ceil(timeoutMs / ticks);
  const shared = new Int32Array(new SharedArrayBuffer(2 * Int32Array.BYTES_PER_ELEMENT));
  const beat = () => {
    Atomics.store(shared, debugged, debuggerUrl() === undefined ? 0 : 1);
    Atomics.add(shared, beats, 1);
  };
  beat();
  setInterval(beat, intervalMs).unref();
  const workerData: Watch = { shared, timeoutMs, intervalMs, service, file };
  const worker = new Worker(threadSource, {
    eval: true,
    workerData,
    // It needs neither the loader's hooks nor the environment; the limits are twice what it was seen to need with Node.js 24.
    execArgv: [],
    env: {},
    resourceLimits: { maxOldGenerationSizeMb: 16, maxYoungGenerationSizeMb: 1, codeRangeSizeMb: 16, stackSizeMb: 1 },
  });
  worker.unref();
  worker.on('error', error =>
    log.error({ event: 'watchdog_ended', error: messageOf(error) }, 'the watchdog has ended: nobody notices a hang'),
  );
}

/**
 * Runs in the watchdog's thread. Its source goes there as text, because a thread that loads a TypeScript module costs twice the memory
 * (20 MB against 10 MB of private pages, Node.js 24): it may use nothing of this module but its parameters.
 */
function watch(node: typeof require, next: typeof afterTick): void {
  const { workerData } = node('node:worker_threads') as typeof import('node:worker_threads');
  const { appendFile, write } = node('node:fs') as typeof import('node:fs');
  const { shared, timeoutMs, intervalMs, service, file } = workerData as Watch;
  let watched: Watched = { beat: Atomics.load(shared, 0), stoodMs: 0 };
  let tickAtMs = performance.now();
  const timer = setInterval(() => {
    const nowMs = performance.now();
    const isDebugged = Atomics.load(shared, 1) === 1;
    watched = next(watched, Atomics.load(shared, 0), isDebugged ? 0 : nowMs - tickAtMs, intervalMs);
    tickAtMs = nowMs;
    if (watched.stoodMs >= timeoutMs) end(Math.round(watched.stoodMs));
  }, intervalMs);

  function end(stoodMs: number): void {
    clearInterval(timer);
    const kill = () => {
      process.kill(process.pid, 'SIGKILL');
      // Linux keeps a signal from the first process of a PID namespace, such as a container's, that was sent from inside.
      const powerless = {
        ...line,
        event: 'watchdog_powerless' satisfies LogEvent<'fatal'>,
        message: 'this process cannot be ended from inside: run it under an init',
      };
      setTimeout(() => write(2, `${JSON.stringify(powerless)}\n`, () => undefined), 1_000);
    };
    // Who reads our log, or the file's disk, may be what the event loop waits for: the process ends all the same.
    setTimeout(kill, 1_000);
    let unwritten = file === undefined ? 1 : 2;
    const written = () => {
      if (--unwritten === 0) kill();
    };
    const line = {
      ...{ level: 'fatal', time: new Date().toISOString(), service, pid: process.pid },
      ...{ event: 'event_loop_stood_still' satisfies LogEvent<'fatal'>, stoodMs, timeoutMs },
      message: `the event loop has stood still for ${stoodMs} ms: ending this process`,
    };
    if (file !== undefined) appendFile(file, `${line.time} ${stoodMs}\n`, written);
    write(2, `${JSON.stringify(line)}\n`, written);
  }
}

const threadSource = `(${watch})(require, ${afterTick});`;
