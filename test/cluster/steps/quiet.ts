import { setTimeout as sleep } from 'node:timers/promises';
import type { Step } from './types.ts';

/** Nothing happens: what the others are compared with. */
export const quiet: Step = {
  name: 'nothing',
  planned: true,
  async run() {
    await sleep(15_000);
    return 'for comparison';
  },
};
