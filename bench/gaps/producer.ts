import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ProducerThreadData } from './producer-thread.ts';

/** A steady stream of records for each user. */
export interface Producer {
  close(): Promise<void>;
}

/** In a thread: clients that reconnect must not keep it from writing, which would look like a gap. */
export function produce(data: ProducerThreadData): Producer {
  const thread = new Worker(new URL('./producer-thread.ts', import.meta.url), { workerData: data });
  const ended = once(thread, 'exit');
  return {
    async close() {
      thread.postMessage('stop');
      await ended;
    },
  };
}
