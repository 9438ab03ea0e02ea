import { type AppPlan, compileApp } from '../../lib/app/index.ts';
import {
  type KafkaConnection,
  type Lanes,
  type OutgoingRecord,
  openLanes,
  openReader,
  type Topics,
} from '../../lib/kafka/index.ts';
import type { Closable } from '../../lib/ops/index.ts';
import { openViews, type Views } from '../../lib/views/index.ts';
import { startProjector } from '../../services/projector/projector.ts';
import { openStore } from '../../services/projector/store.ts';
import { quietOps } from './quiet-ops.ts';
import { kafkaAddress, kafkaConfig, openScratchKafka, type ScratchKafka } from './scratch-kafka.ts';
import { type ScratchPostgres, scratchPostgres } from './scratch-postgres.ts';
import { until } from './until.ts';

export interface RunningProjector extends Closable {
  ops: ReturnType<typeof quietOps>;
}

export interface ProjectorWorld {
  kafka: ScratchKafka;
  postgres: ScratchPostgres;
  topics: Topics;
  connection: KafkaConnection;
  group: string;
  /** A topic, or its dead letters where `create` says so. */
  topic(partitions: number, config?: Readonly<Record<string, string>>): Promise<string>;
  plan(schema: string): AppPlan;
  send(
    topic: string,
    partition: number,
    record: Partial<OutgoingRecord> & { json?: unknown; sequence?: number },
  ): Promise<number>;
  start(
    plan: AppPlan,
    options?: {
      createTopics?: boolean;
      postgresUrl?: string;
      brokers?: string[];
      deadLetters?: 'topic' | 'skip';
      replicationFactor?: number;
    },
  ): Promise<RunningProjector>;
  views(plan: AppPlan): Views;
  /** Reads one view in a snapshot of its own; `userKey` undefined: every row. */
  read(views: Views, plan: AppPlan, field: string, args?: Record<string, unknown>, userKey?: string): Promise<unknown>;
  /** Waits until the live positions of these topics are at their ends. */
  caughtUp(...topics: string[]): Promise<void>;
  close(): Promise<void>;
}

/** Kafka, an empty database, and projectors in this process. */
export async function openProjectorWorld(addresses: readonly string[] = [kafkaAddress()]): Promise<ProjectorWorld> {
  const kafka = openScratchKafka(addresses);
  const postgres = await scratchPostgres();
  const lanes: Lanes = openLanes(kafka.connection, { bufferBytes: 16_777_216 });
  const open = new Set<Closable>();
  const group = kafka.group();
  const made: string[] = [];

  return {
    kafka,
    postgres,
    topics: kafka.topics,
    connection: kafka.connection,
    group,
    async topic(partitions, config) {
      const name = await kafka.topic(partitions, config);
      made.push(name);
      return name;
    },
    plan: body => compileApp({ name: 'test.graphql', body }),
    async send(topic, partition, { json, sequence, ...record }) {
      const headers = { ...record.headers, ...(sequence === undefined ? {} : { ce_keysequence: String(sequence) }) };
      const value = record.value !== undefined ? record.value : json === undefined ? null : JSON.stringify(json);
      return (await lanes.send({ topic, partition }, { key: record.key ?? null, value, headers })).offset;
    },
    async start(plan, options = {}) {
      const { createTopics = false, postgresUrl = postgres.url, brokers = [...addresses] } = options;
      const { deadLetters = 'topic', replicationFactor = 1 } = options;
      const ops = quietOps('projector');
      const scratch = openScratchKafka(brokers);
      const store = openStore({ url: postgresUrl, poolSize: 5 }, ops);
      const reader = openReader(scratch.connection, { maxWaitMs: 50, partitionBytes: 65_536 });
      const own = openLanes(scratch.connection, { bufferBytes: 16_777_216, deliveryTimeoutMs: 3_000 });
      const stopping = new AbortController();
      const starting = startProjector(
        {
          config: {
            ownership: { group: '', handoverWindowMs: 0, peerListen: '127.0.0.1:0', peerSilenceMs: 2_000 },
            kafka: {
              ...kafkaConfig(brokers),
              createTopics,
              replicationFactor,
              partitions: 2,
              heartbeatIntervalMs: 100,
            },
            projector: { group, batchRecords: 500, paceMs: 0, bufferBytes: 1_048_576, deadLetters },
          },
          plan,
          connection: scratch.connection,
          reader,
          topics: scratch.topics,
          lanes: own,
          store,
          ops,
        },
        stopping.signal,
      );
      let closing: Promise<void> | undefined;
      const running: RunningProjector = {
        ops,
        close: () =>
          (closing ??= (async () => {
            stopping.abort();
            open.delete(running);
            await (await starting.catch(() => undefined))?.close();
            await reader.close();
            await own.close();
            await store.close();
            await scratch.close();
          })()),
      };
      open.add(running);
      // Whoever starts without a server waits for readiness instead.
      starting.catch(() => undefined);
      const isUp = postgresUrl === postgres.url && brokers[0] === addresses[0];
      if (isUp) await starting;
      return running;
    },
    views(plan) {
      const views = openViews({ url: postgres.url, poolSize: 4 }, plan, quietOps('views'));
      open.add(views);
      return views;
    },
    async read(views, plan, field, args = {}, userKey) {
      const view = plan.views.get(field);
      if (!view) throw new Error(`no view ${field}`);
      const snapshot = await views.openSnapshot();
      try {
        return await snapshot.read(view, args, { userKey: userKey ?? '', everyRow: userKey === undefined });
      } finally {
        await snapshot.close();
      }
    },
    async caughtUp(...names) {
      for (const topic of names) {
        const count = (await kafka.topics.partitionCount(topic)) ?? 0;
        const ends = await kafka.topics.offsets(topic, [...Array(count).keys()]);
        await until(`the projector at the end of ${topic}`, async () => {
          const rows = await postgres.query<{ partition: number; next: string }>(
            'SELECT partition, next FROM penstock.view_positions WHERE scope = 0 AND topic = $1',
            [topic],
          );
          return rows.length === count && rows.every(row => Number(row.next) >= (ends.get(row.partition)?.end ?? 0));
        });
      }
    },
    async close() {
      for (const each of [...open].reverse()) await each.close();
      await lanes.close();
      for (const name of made) await kafka.remove(`${name}-dlt`).catch(() => undefined); // perhaps nobody has made it
      await kafka.close();
      await postgres.drop();
    },
  };
}
