import { setTimeout as sleep } from 'node:timers/promises';
import { Redis } from 'ioredis';
import { backUp } from '../../test/chaos/whole.ts';
import type { Stack } from '../../test/support/stack.ts';
import { openStockUser } from '../../test/support/stock-client.ts';
import { until } from '../../test/support/until.ts';
import { openUser } from '../../test/support/user.ts';
import { gatewayCount, type System } from './system.ts';

export interface PenstockOptions {
  stack: Stack;
  quietMs: number;
  /** The clients connect to their next gateway while they are served; else they are closed to make them move. */
  moves: boolean;
  /** Where the clients find the router. */
  url: string;
}

/** Penstock as `npm start` runs it, with its own client, or a stock one that resumes by cursor. */
export function penstock({ stack, quietMs, moves, url }: PenstockOptions): System {
  const redis = new Redis(stack.redis);
  const victim = `gateway-${gatewayCount - 1}`;

  return {
    name: moves ? 'Penstock' : 'Penstock, stock moves',
    async owners() {
      const pipeline = redis.pipeline();
      for (let partition = 0; partition < stack.partitions; partition++) {
        pipeline.hmget(`penstock:{penstock-gateway/${partition}}:owner`, 'address', 'memberId');
      }
      const answers = (await pipeline.exec()) ?? [];
      return answers.map(([, fields]) => {
        const [address, memberId] = fields as [string | null, string | null];
        return address ? `${memberId}` : '';
      });
    },
    async openClient(name, onRecord) {
      const user = await (moves ? openUser : openStockUser)(url, name);
      const stream = user.subscribe(
        { query: 'subscription { transactions { id } }' },
        {
          next: result => onRecord(String((result.data as { transactions: { id: string } } | null)?.transactions.id)),
          error: error => process.stderr.write(`Penstock: the stream of ${name} ended: ${JSON.stringify(error)}\n`),
        },
      );
      await until(`a cursor for ${name}`, () => stream.cursor(), 60_000);
      return { close: () => user.close() };
    },
    faults: {
      nothing: () => sleep(quietMs),
      join: () => stack.scale({ gateway: gatewayCount + 1 }),
      leave: () => stack.scale({ gateway: gatewayCount }),
      async 'rolling restart'() {
        for (let index = 0; index < gatewayCount; index++) {
          const name = `gateway-${index}`;
          await backUp(stack, name, stack.kill(name, 'SIGTERM'));
        }
      },
      'kill -9': () => stack.down(victim),
      async return() {
        await stack.up(victim);
        await backUp(stack, victim, 0); // it had none
      },
    },
    async close() {
      redis.disconnect();
    },
  };
}
