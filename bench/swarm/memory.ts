import { setTimeout as sleep } from 'node:timers/promises';
import { openInspector } from './inspector.ts';

/** What a service's process holds, by its own metrics, bytes. */
export interface Memory {
  rssBytes: number;
  /** Objects and strings, those that nobody holds and that are not collected yet too. */
  heapBytes: number;
  /** Buffers, and what else V8 knows of outside its heap. */
  externalBytes: number;
}

export interface MemoryWatch {
  /** The highest of each since the last call (they need not have been at once), and what there is now. */
  phase(): Promise<{ highest: Memory; now: Memory }>;
  /** Ends it; once. */
  close(): Promise<void>;
}

/** What a process holds when everything that nobody holds has been collected, bytes. It stands still meanwhile. */
export async function heldBytes(pid: number): Promise<number> {
  const inspector = await openInspector(pid);
  // What a buffer leaves behind is given back by the collection after the one that finds it.
  for (let round = 0; round < 3; round++) await inspector.call('HeapProfiler.collectGarbage');
  const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
  const { result } = (await inspector.call('Runtime.evaluate', { expression })) as { result: { value: number } };
  inspector.close();
  return result.value;
}

const intervalMs = 500;

/** Looks twice a second, until it is closed. @param admin the service's admin URL. */
export function watchMemory(admin: string): MemoryWatch {
  const closing = new AbortController();
  let highest: Memory = { rssBytes: 0, heapBytes: 0, externalBytes: 0 };
  const watching = watch();
  return {
    async phase() {
      const now = await look();
      const found = { highest, now };
      highest = now;
      return found;
    },
    async close() {
      closing.abort();
      await watching;
    },
  };

  async function watch(): Promise<void> {
    while (!closing.signal.aborted) {
      await look();
      await sleep(intervalMs, undefined, { signal: closing.signal }).catch(() => undefined);
    }
  }

  async function look(): Promise<Memory> {
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    const metric = (name: string) => Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)?.[1]);
    const now = {
      rssBytes: metric('process_resident_memory_bytes'),
      heapBytes: metric('nodejs_heap_size_used_bytes'),
      externalBytes: metric('nodejs_external_memory_bytes'),
    };
    highest = {
      rssBytes: Math.max(highest.rssBytes, now.rssBytes),
      heapBytes: Math.max(highest.heapBytes, now.heapBytes),
      externalBytes: Math.max(highest.externalBytes, now.externalBytes),
    };
    return now;
  }
}
