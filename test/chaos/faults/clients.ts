import { pause } from '../whole.ts';
import type { Fault } from './types.ts';

/** What clients do. */
export const clientFaults: readonly Fault[] = [
  {
    /** They read again before or after the gateway has closed them for being slow. */
    name: 'slow-clients',
    async inject({ clients, random, log, signal }) {
      const count = random.integer(2, clients.idle / 4);
      const ms = random.integer(5_000, 15_000);
      log(`${count} clients stop reading for ${ms} ms`);
      const goOn = clients.stopReading(random, count);
      try {
        await pause(ms, signal);
      } finally {
        goOn();
      }
    },
  },
  {
    name: 'absent-clients',
    async inject({ clients, random, log, signal }) {
      const count = random.integer(2, clients.idle / 2);
      const ms = random.integer(2_000, 12_000);
      log(`${count} clients are away for ${ms} ms`);
      const comeBack = await clients.leave(random, count);
      try {
        await pause(ms, signal);
      } finally {
        comeBack();
      }
    },
  },
];
