import { Worker } from 'node:worker_threads';
import type { ClientsThreadData, FromClients, ToClients } from './clients-thread.ts';
import type { FromProducer, ProducerThreadData, ToProducer } from './producer-thread.ts';

type Report = FromClients & { kind: 'report' };

/** Many clients in a thread of their own. */
export interface Swarm {
  /** What was told last. */
  status(): FromClients & { kind: 'status' };
  mark(): void;
  /** They stop reading their sockets. */
  pause(): void;
  resume(): void;
  report(): Promise<Report>;
  close(): void;
}

export function openSwarm(data: ClientsThreadData): Swarm {
  const thread = new Worker(new URL('./clients-thread.ts', import.meta.url), { workerData: data });
  let status: FromClients & { kind: 'status' } = { kind: 'status', atMs: 0, live: 0, caughtUp: 0, complete: 0 };
  let reported: ((report: Report) => void) | undefined;
  thread.on('error', fail);
  thread.on('message', (message: FromClients) => {
    if (message.kind === 'status') status = message;
    else reported?.(message);
  });
  const say = (message: ToClients) => thread.postMessage(message);
  return {
    status: () => status,
    mark: () => say({ kind: 'mark', atMs: Date.now() }),
    pause: () => say({ kind: 'pause' }),
    resume: () => say({ kind: 'resume', atMs: Date.now() }),
    report: () =>
      new Promise(resolve => {
        reported = resolve;
        say({ kind: 'report' });
      }),
    close: () => say({ kind: 'close' }),
  };
}

/** Writes records in a thread of its own. */
export interface SwarmProducer {
  /** At the rate that it was opened with, or at this one from now on. */
  start(recordsPerSecond?: number): void;
  /** Resolves with the number of records when all of them are acknowledged. */
  stop(): Promise<number>;
}

export function openSwarmProducer(data: ProducerThreadData): SwarmProducer {
  const thread = new Worker(new URL('./producer-thread.ts', import.meta.url), { workerData: data });
  thread.on('error', fail);
  const say = (message: ToProducer) => thread.postMessage(message);
  return {
    start: recordsPerSecond => say({ kind: 'start', recordsPerSecond }),
    stop: () =>
      new Promise(resolve => {
        thread.on('message', ({ records }: FromProducer) => resolve(records));
        say({ kind: 'stop' });
      }),
  };
}

/** A thread of the load generator has died: whatever is measured from here on is wrong. */
function fail(error: unknown): void {
  throw error;
}
