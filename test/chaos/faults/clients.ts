import { until } from '../../support/until.ts';
import { namesOf, pause } from '../whole.ts';
import { largeTicks } from './records.ts';
import type { Fault, World } from './types.ts';

/** What clients do. */
export const clientFaults: readonly Fault[] = [
  {
    /** More comes for one of them than the kernel and the budgets hold: the gateway closes it for being slow. */
    name: 'slow-clients',
    async inject(world) {
      const { clients, random, log, signal } = world;
      const count = random.integer(2, clients.idle / 4);
      const ms = random.integer(3_000, 8_000);
      const before = await slowClosed(world);
      const { users, goOn } = clients.stopReading(random, count);
      try {
        const [user] = users.filter(name => clients.keys.includes(name));
        if (user === undefined) throw new Error('nobody with a stream of its own has stopped');
        log(`${count} clients stop reading; 24 MB come for ${user}`);
        await largeTicks(world, user, 60, 400_000);
        const closed = async () => signal.aborted || (await slowClosed(world)) > before;
        await until('a gateway to close somebody for being slow', closed, 30_000);
        await pause(ms, signal);
        log(`${(await slowClosed(world)) - before} were closed`);
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

/** By all gateways that run now. */
async function slowClosed({ stack }: World): Promise<number> {
  const counts = namesOf(stack, 'gateway').map(async name => {
    const text = await fetch(`${stack.process(name).admin}/metrics`).then(answer => answer.text());
    return Number(/^penstock_gateway_slow_closed_total (\d+)/m.exec(text)?.[1] ?? 0);
  });
  return (await Promise.all(counts)).reduce((sum, count) => sum + count, 0);
}
