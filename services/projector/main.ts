import { loadApp } from '../../lib/app/index.ts';
import { openFleetPublisher } from '../../lib/fleet/index.ts';
import { connectKafka, openLanes, openReader, openTopics } from '../../lib/kafka/index.ts';
import { type Closable, catalogue, openOps, readConfig, runUntilSignal, start } from '../../lib/ops/index.ts';
import { startProjector } from './projector.ts';
import { projectorState } from './state.ts';
import { openStore } from './store.ts';

const sections = [
  'log',
  'drain',
  'watchdog',
  'admin',
  'app',
  'kafka',
  'postgres',
  'ownership',
  'projector',
  'fleet',
] as const;

/** A dead letter is given up after this time, and sent again later, ms: a drain must not wait for one that is stuck. */
const letterTimeoutMs = 10_000;

start('projector', async () => {
  const config = readConfig(catalogue, sections, process.env);
  const ops = await openOps('projector', config);
  const plan = await loadApp(config.app.schema);
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const { fetchMaxWaitMs: maxWaitMs, fetchPartitionBytes: partitionBytes, laneBufferBytes } = config.kafka;
  const reader = openReader(connection, { maxWaitMs, partitionBytes, paceMs: config.projector.paceMs });
  const lanes = openLanes(connection, { bufferBytes: laneBufferBytes, deliveryTimeoutMs: letterTimeoutMs });
  const store = openStore(config.postgres, ops);
  const stopping = new AbortController();
  const fleet = openFleetPublisher({ config, connection, topics, ops });
  fleet.describe(projectorState(ops.metrics));
  /** Closed from left to right. */
  const parts: Closable[] = [reader, lanes, store, fleet, topics, connection, ops];

  const serving = startProjector({ config, plan, connection, reader, topics, lanes, store, ops }, stopping.signal).then(
    projector => {
      parts.unshift(projector);
      ops.readiness.set('start', undefined);
      ops.log.info({ event: 'service_ready', tables: [...plan.tables.keys()] }, 'projecting');
    },
    (error: unknown) => {
      if (!stopping.signal.aborted) throw error;
    },
  );
  const onDraining = () => {
    stopping.abort();
    ops.onDraining();
    fleet.changed();
  };
  await Promise.all([serving, runUntilSignal({ ...ops, onDraining }, parts)]);
});
