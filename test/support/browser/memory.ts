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

/**
 * A page that works all the time holds more for a moment, and on a busy machine the heap counts garbage until a thread has swept it:
 * what counts is the least of the readings.
 */
const [collections, pauseMs] = [4, 250];

/**
 * Returns what measures a page, by Chromium's own protocol. It collects garbage first, so that only what is in use is counted. A
 * measurement takes a second or more.
 */
export async function openMemoryProbe(page: Page): Promise<() => Promise<PageMemory>> {
  const session = await page.context().newCDPSession(page);

  async function readOnce(): Promise<PageMemory> {
    const { usedSize } = await session.send('Runtime.getHeapUsage');
    const { nodes, jsEventListeners } = await session.send('Memory.getDOMCounters');
    return { heapBytes: usedSize, nodes, listeners: jsEventListeners };
  }

  return async () => {
    const readings: PageMemory[] = [];
    for (let collection = 0; collection < collections; collection++) {
      await session.send('HeapProfiler.collectGarbage');
      readings.push(await readOnce());
      await sleep(pauseMs);
      readings.push(await readOnce());
    }
    const least = (what: keyof PageMemory) => Math.min(...readings.map(reading => reading[what]));
    return { heapBytes: least('heapBytes'), nodes: least('nodes'), listeners: least('listeners') };
  };
}
