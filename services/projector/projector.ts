import type { AppPlan } from '../../lib/app/index.ts';
import {
  type DeadLetters,
  DeadLetterTopicError,
  type DirectReader,
  type KafkaConnection,
  type Lanes,
  openDeadLetters,
  PartitionCountError,
  type Topics,
  watchPartitions,
} from '../../lib/kafka/index.ts';
import type { Closable, Ops, PenstockConfig } from '../../lib/ops/index.ts';
import { VersionCache } from '../../lib/views/index.ts';
import { liveTarget } from './batch.ts';
import { openBuilds } from './builds.ts';
import { Feeds } from './feeds.ts';
import { openLetters } from './letters.ts';
import { openProjectorMetrics, type ProjectorMetrics } from './metrics.ts';
import { prepareVersions, TopicsError, topicStarts } from './prepare.ts';
import { retrying } from './split.ts';
import type { Store } from './store.ts';
import { openTenancy, type Tenancy } from './tenancy.ts';
import { untilSuccess, watch } from './watch.ts';
import { openWorker, type Worker } from './worker.ts';

export interface ProjectorParts {
  config: PenstockConfig<'kafka' | 'ownership' | 'projector'>;
  plan: Pick<AppPlan, 'tables'>;
  connection: KafkaConnection;
  reader: DirectReader;
  topics: Topics;
  lanes: Lanes;
  store: Store;
  ops: Pick<Ops, 'log' | 'metrics' | 'readiness'>;
}

/** How often positions are committed for lag displays, ms. */
const commitIntervalMs = 5_000;

/**
 * Keeps an app's tables. Waits for Kafka and PostgreSQL, makes versions and positions go with the schema, then feeds the
 * live versions from the partitions that the group gives it, and builds what has changed beside.
 * @throws TopicsError, PartitionCountError: the topics are not what the schema needs. DeadLetterTopicError: one for dead letters
 * is missing, and Kafka does not let us create it.
 */
export async function startProjector(parts: ProjectorParts, signal: AbortSignal): Promise<Closable> {
  const { config, plan, connection, reader, topics, store, ops } = parts;
  const { tables } = plan;
  const metrics = openProjectorMetrics(ops.metrics);
  const { createTopics, partitions, replicationFactor } = config.kafka;
  const create = createTopics ? { partitions, replicationFactor } : undefined;
  const finalErrors = [TopicsError, PartitionCountError, DeadLetterTopicError];
  const isFinal = (error: unknown) => finalErrors.some(each => error instanceof each);
  const deadLetters = openLettersOf(parts, metrics);

  const starts = await untilSuccess('kafka', () => topicStarts(tables, topics, create), isFinal, ops, signal);
  const names = [...new Set(starts.map(({ topic }) => topic))];
  await untilSuccess('dead letters', () => prepareLetters(deadLetters, names), isFinal, ops, signal);
  const prepare = async () => {
    await store.requireSessions();
    return retrying(() => store.transaction(queries => prepareVersions(queries, tables, starts)));
  };
  const toBuild = await untilSuccess('postgres', prepare, () => false, ops, signal);

  const partitionCount = starts.reduce((most, { partition }) => Math.max(most, partition + 1), 0);
  const watches = [
    watchPartitions({ topics, names, partitionCount, ops }),
    watch('kafka', () => topics.clusterId(), ops),
    watch('postgres', () => store.transaction(queries => queries.query('SELECT 1')), ops),
  ];
  let worker: Worker | undefined;
  let onLost: Tenancy['onLost'] = () => undefined;
  let onRecreated: Tenancy['onRecreated'] = () => undefined;
  const feeds = new Feeds({
    reader,
    topics,
    bytesPerPartition: Math.max(minBytesPerPartition, config.projector.bufferBytes / Math.max(1, starts.length)),
    onWork: () => worker?.wake(),
    onLost: at => onLost(at),
    onRecreated: at => onRecreated(at),
    tablesOf: topic => [...tables.values()].filter(table => table.topics.includes(topic)).map(({ name }) => name),
    ops,
  });
  const tenancy = await openTenancy({
    connection,
    config,
    topics: names,
    identify: async topic => (await topics.identity(topic))?.topicId,
    feeds,
    store,
    ops,
  });
  ({ onLost, onRecreated } = tenancy);
  const onApplied = everyOnceInAWhile(commitIntervalMs, () => void tenancy.commit());
  const { batchRecords } = config.projector;
  worker = openWorker({
    ...{ feeds, store, target: liveTarget(new VersionCache()), tables, batchRecords, metrics, ops },
    letters: openLetters({ feeds, deadLetters, metrics, ops }),
    onStale: at => tenancy.onStale(at),
    onApplied,
  });
  const builds = openBuilds(toBuild, { store, topics, tables, batchRecords, log: ops.log, metrics });
  let closing: Promise<void> | undefined;
  return {
    close: () =>
      (closing ??= (async () => {
        await builds.close();
        await worker.close();
        await tenancy.commit();
        await tenancy.close();
        for (const each of watches) await each.close();
      })()),
  };
}

/** Undefined where they are skipped. Whether we may create their topics is found out by trying. */
function openLettersOf({ config, topics, lanes }: ProjectorParts, metrics: ProjectorMetrics): DeadLetters | undefined {
  if (config.projector.deadLetters === 'skip') return undefined;
  const { brokers, replicationFactor } = config.kafka;
  return openDeadLetters({
    ...{ topics, lanes, brokers, group: config.projector.group, create: { replicationFactor } },
    onSent: topic => metrics.deadLetters.inc({ topic }),
  });
}

async function prepareLetters(deadLetters: DeadLetters | undefined, names: readonly string[]): Promise<void> {
  try {
    await deadLetters?.prepare(names);
  } catch (error) {
    if (!(error instanceof DeadLetterTopicError)) throw error;
    throw new DeadLetterTopicError(`${error.message}; or set PENSTOCK_PROJECTOR_DEAD_LETTERS=skip`, error);
  }
}

/** A partition gets at least this much room, however many there are. */
const minBytesPerPartition = 65_536;

function everyOnceInAWhile(intervalMs: number, run: () => void): () => void {
  let last = performance.now();
  return () => {
    if (performance.now() - last < intervalMs) return;
    last = performance.now();
    run();
  };
}
