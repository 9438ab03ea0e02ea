import { setTimeout as sleep } from 'node:timers/promises';
import type { Page } from 'playwright-core';

/** What a page holds. */
export interface PageMemory {
  /** Live objects of JavaScript. */
  heapBytes: number;
  /** Also those that are in no document any more, and that something still refers to. */
  nodes: number;
  listeners: number;
}

/** A page that works all the time holds more for a moment, such as code that is being optimised: what counts is the least of these. */
const [readings, pauseMs] = [4, 250];

/**
 * Returns what measures a page, by Chromium's own protocol. It collects garbage first, so that only what is in use is counted. A
 * measurement takes a second or more.
 */
export async function openMemoryProbe(page: Page): Promise<() => Promise<PageMemory>> {
  const session = await page.context().newCDPSession(page);

  async function readOnce(): Promise<PageMemory> {
    await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
    return { heapBytes: usedSize, nodes, listeners: jsEventListeners };
  }

  return async () => {
    let least = await readOnce();
    for (let reading = 1; reading < readings; reading++) {
      await sleep(pauseMs);
      const { heapBytes, nodes, listeners } = await readOnce();
      least = {
        heapBytes: Math.min(least.heapBytes, heapBytes),
        nodes: Math.min(least.nodes, nodes),
        listeners: Math.min(least.listeners, listeners),
      };
    }
    return least;
  };
}
