/** Gateways' sides of ownership in one process, and a router's table, on real servers. */
import { randomBytes } from 'node:crypto';
import { connectKafka } from '../../../lib/kafka/index.ts';
import {
  joinOwnership,
  type Owner,
  type Ownership,
  type OwnerTable,
  openOwnerTable,
  type Tenure,
} from '../../../lib/ownership/index.ts';
import { closeRedis, openRedis } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { kafkaAddress, kafkaConfig, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';

export interface Gateway {
  ownership: Ownership;
  address: string;
  /** Every transition so far: partition and state, and what caused it. */
  transitions: { partition: number; state: Tenure['state']; cause: string }[];
  ops: ReturnType<typeof quietOps>;
  in(state: Tenure['state']): number[];
  metric(name: string): Promise<number>;
  close(): Promise<void>;
}

export interface Router {
  table: OwnerTable;
  ops: ReturnType<typeof quietOps>;
  /** The table's owners by address. */
  owners(): Map<string, number[]>;
  close(): Promise<void>;
}

export interface Gateways {
  kafka: ScratchKafka;
  group: string;
  topics: readonly string[];
  partitionCount: number;
  gateway(options?: { handoverWindowMs?: number; redisUrl?: string; heartbeatIntervalMs?: number }): Promise<Gateway>;
  router(redisUrl?: string): Promise<Router>;
  close(): Promise<void>;
}

export async function openGateways(partitionCount: number, redisUrl: string): Promise<Gateways> {
  const kafka = openScratchKafka();
  const topics = await Promise.all([kafka.topic(partitionCount), kafka.topic(partitionCount)]);
  const group = `test-${randomBytes(6).toString('hex')}`;
  const opened: { close(): Promise<void> }[] = [];
  let count = 0;
  return {
    kafka,
    group,
    topics,
    partitionCount,
    async gateway({ handoverWindowMs = 300, redisUrl: url = redisUrl, heartbeatIntervalMs = 50 } = {}) {
      count += 1;
      const address = `http://gateway-${count}`;
      const ops = quietOps(`gateway-${count}`);
      const config = { ...kafkaConfig([kafkaAddress()]), heartbeatIntervalMs };
      const connection = connectKafka(config, ops);
      const redis = openRedis({ url, tlsCaFile: undefined }, ops);
      const ownership = await joinOwnership({
        connection,
        redis,
        config: {
          kafka: config,
          ownership: { group, handoverWindowMs, peerListen: '127.0.0.1:0', peerSilenceMs: 2_000 },
        },
        topics,
        partitionCount,
        address,
        ops,
      });
      const transitions: Gateway['transitions'] = [];
      ownership.onTransition((partition, { state }, { event }) => transitions.push({ partition, state, cause: event }));
      const gateway: Gateway = {
        ownership,
        address,
        transitions,
        ops,
        in: state => all(partitionCount).filter(partition => ownership.tenure(partition).state === state),
        async metric(name) {
          const { values } = (await ops.metrics.getSingleMetric(name)?.get()) ?? { values: [] };
          return values[0]?.value ?? Number.NaN;
        },
        async close() {
          await ownership.close();
          await ownership.close();
          closeRedis(redis);
          await connection.close();
        },
      };
      opened.push(gateway);
      return gateway;
    },
    async router(url = redisUrl) {
      const ops = quietOps('router');
      const connection = connectKafka(kafkaConfig([kafkaAddress()]), ops);
      const redis = openRedis({ url, tlsCaFile: undefined }, ops);
      const table = await openOwnerTable({ redis, connection, group, partitionCount, peerSilenceMs: 2_000, ops });
      const router: Router = {
        table,
        ops,
        owners() {
          const owners = new Map<string, number[]>();
          for (const partition of all(partitionCount)) {
            const address = table.owner(partition)?.address;
            if (address !== undefined) owners.set(address, [...(owners.get(address) ?? []), partition]);
          }
          return owners;
        },
        async close() {
          await table.close();
          await table.close();
          closeRedis(redis);
          await connection.close();
        },
      };
      opened.push(router);
      return router;
    },
    async close() {
      for (const one of opened) await one.close();
      await kafka.close();
    },
  };
}

/** Whether each partition has exactly the owner that its gateway says it is. */
export function agree(router: Router, gateways: readonly Gateway[], partitionCount: number): boolean {
  return all(partitionCount).every(partition => {
    const owners = gateways.filter(({ ownership }) => ownership.tenure(partition).state === 'owned');
    const named: Owner | undefined = router.table.owner(partition);
    const tenure = owners[0]?.ownership.tenure(partition);
    return (
      owners.length === 1 &&
      named?.address === owners[0]?.address &&
      tenure?.state === 'owned' &&
      (named?.epoch === 0 || tenure.epoch === named?.epoch)
    );
  });
}

export function all(partitionCount: number): number[] {
  return Array.from({ length: partitionCount }, (_, partition) => partition);
}
