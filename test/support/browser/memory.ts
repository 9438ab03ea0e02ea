import type { Page } from 'playwright-core';

/** What a page holds. */
export interface PageMemory {
  /** Live objects of JavaScript. */
  heapBytes: number;
  /** Also those that are in no document any more, and that something still refers to. */
  nodes: number;
  listeners: number;
}

/** Returns what measures a page, by Chromium's own protocol. A measurement collects garbage first: what it counts is in use. */
export async function openMemoryProbe(page: Page): Promise<() => Promise<PageMemory>> {
  const session = await page.context().newCDPSession(page);
  return async () => {
    // What the first collection's finalizers let go of is collected by the second.
    for (let collection = 0; collection < 2; collection++) await session.send('HeapProfiler.collectGarbage');
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
    return { heapBytes: usedSize, nodes, listeners: jsEventListeners };
  };
}
