import { randomUUID } from 'node:crypto';
import type pg from 'pg';
import { messageOf } from '../../lib/errors.ts';
import {
  type ControlGroup,
  type KafkaRecord,
  KafkaUnavailableError,
  keyText,
  openDeadLetters,
  partitionOf,
  type TopicPartition,
} from '../../lib/kafka/index.ts';
import { openCommandSpans } from './command-spans.ts';
import type { DatabaseWatch } from './database-watch.ts';
import { openGraveyard } from './dead-letters.ts';
import { openGoBack } from './divergence.ts';
import { type Feed, openFeed } from './feed.ts';
import type { HandlerOptions } from './handler.ts';
import { openSorting, type Sort } from './intake.ts';
import { openLagOffsets } from './lag-offsets.ts';
import { openLedgerCheck } from './ledger-check.ts';
import { gaugeOutbox, gaugeStopped, type HandlerMetrics, openMetrics } from './metrics.ts';
import { openOutbox } from './outbox.ts';
import { watchOutboxSize } from './outbox-size.ts';
import { type Processing, processBatch } from './process-batch.ts';
import { openPublisher } from './publisher.ts';
import { openReadFaults } from './read-faults.ts';
import { within } from './signal.ts';
import { keepTenures } from './tenures.ts';
import { startWorker } from './worker.ts';

/** How often positions are committed to Kafka, where only lag displays look at them, ms. */
const commitMs = 5_000;
/** A partition that could not be read is claimed again after this time, ms. */
const faultMs = 1_000;
/** The reader takes about 2 s to be sure of a fault, and a claim its time. */
const recoveredMs = faultMs + 9_000;

/** Puts the parts together and joins the group. Returns how to stop: finish the batch, publish, leave. */
export async function serve<State, Change>(
  options: HandlerOptions<State, Change>,
  { pool, database }: { pool: pg.Pool; database: DatabaseWatch },
  partitionCount: number,
): Promise<() => Promise<void>> {
  const { config, ops, plan, app, reader, lanes, topics, joinGroup } = options;
  const { log, readiness } = ops;
  const { group, batchCommands, bufferBytes, windowBytes, maxValueBytes } = config.handler;
  const commandTopics = [...new Set([...plan.commands.values()].map(({ topic }) => topic))];
  const placeOf = (key: string): number => partitionOf(key, partitionCount);
  const outbox = openOutbox();
  const metrics = openMetrics(ops.metrics, outbox.unacknowledged);
  const lag = openLagOffsets(at => check.reached(at));
  let controlGroup: ControlGroup | undefined;

  const processing: Processing<State, Change> = {
    ...{ pool, app, plan, outbox, partitionOf: placeOf, now: Date.now, uuid: randomUUID, maxValueBytes },
    isHeld: partition => tenures.isHeld(partition),
    hasRoom: partition => publisher.hasRoom(partition),
    onFault: ({ reason, cause, traceparent }) => {
      log.error({ event: 'command_refused_internally', reason, error: cause, traceparent }, 'a command is refused');
    },
  };
  const readFaults = openReadFaults(ops, recoveredMs);
  const feed: Feed = openFeed({
    reader,
    sort: watchPlaces(openSorting(plan), placeOf, metrics, ops),
    bufferBytes,
    hasRoom: partition => publisher.hasRoom(partition),
    onReady: () => worker.wake(),
    onFault(fault, { topic, partition, offset, diverging, lastEpoch }, error) {
      if (diverging !== undefined) {
        void goBack({ topic, partition, position: offset, leaderEpoch: lastEpoch, found: diverging });
        return;
      }
      const reason = error?.message;
      log.error(
        { event: 'commands_unreadable', topic, partition, offset, fault, reason },
        'a command partition can not be read; trying again',
      );
      readFaults.note(fault, { topic, partition, offset }, error);
      tenures.claimAgain([partition], faultMs);
    },
  });
  const onTruncated = async ({ topic, partition }: TopicPartition, from: number): Promise<void> => {
    metrics.truncated.inc({ topic });
    // Before the stored position goes back: else the ledger would seem to have lost what lies behind it (evidence.ts).
    lag.forget({ topic, partition });
    await controlGroup?.commit([{ topic, partition, offset: from }]);
  };
  const goBack = openGoBack({
    ...{ topics, ops, onTruncated, goBack: feed.goBack },
    onUnknown: ({ partition }) => tenures.claimAgain([partition], faultMs),
  });
  const publisher = openPublisher({
    ...{ pool, postgres: config.postgres, lanes, outbox, ops, metrics, windowBytes },
    owned: () => tenures.held(),
    onRoom: () => worker.wake(),
  });
  const check = openLedgerCheck({
    ...{ pool, topics, ops, log, underWay: outbox.underWay },
    names: plan.topics.map(({ name }) => name).filter(name => !commandTopics.includes(name)),
    async committed(places) {
      if (controlGroup === undefined) throw new KafkaUnavailableError('not in the group yet');
      return controlGroup.committed(places);
    },
  });
  const tenures = keepTenures({
    ...{ pool, topics, commandTopics, ops, inspect: check.inspect, whyNotServed: check.whyNotServed, onTruncated },
    heartbeat: async () => controlGroup?.heartbeat(),
    onHeld(partition, claims) {
      publisher.gain(partition);
      for (const claim of claims) feed.open(claim, claim.readFrom);
    },
    onLetGo(partition) {
      publisher.lose(partition);
      for (const topic of commandTopics) feed.close({ topic, partition });
    },
  });
  database.onReplaced(() => tenures.claimAgain(tenures.held()));
  gaugeStopped(ops.metrics, () => (readiness.reasons().ledger === undefined ? 0 : tenures.missing()));
  const outboxSize = watchOutboxSize(pool, () => tenures.held(), log);
  gaugeOutbox(ops.metrics, outboxSize.size);
  const { createTopics, replicationFactor } = config.kafka;
  const create = createTopics ? { replicationFactor } : undefined;
  const worker = startWorker({
    ...{ feed, cleaner: publisher.cleaner, log, metrics, batchCommands },
    spans: ops.tracer && openCommandSpans(ops.tracer, group),
    deadLetters: openGraveyard(
      openDeadLetters({
        topics,
        lanes,
        group,
        create,
        brokers: config.kafka.brokers,
        onSent: topic => metrics.deadLetters.inc({ topic }),
      }),
      log,
    ),
    async process(batch, acknowledged) {
      const done = await processBatch(processing, batch, acknowledged);
      lag.note(batch);
      check.noteCommitted(batch);
      return done;
    },
    publish: publisher.publish,
    distrust: partitions => tenures.claimAgain(partitions ?? tenures.held()),
  });
  const committing = setInterval(() => {
    void commitForLag();
    void stopWithOthers();
  }, commitMs);

  readiness.set('kafka', 'not in the group yet');
  controlGroup = await joinGroup({
    groupId: group,
    topics: commandTopics,
    address: ops.adminUrl,
    sessionTimeoutMs: config.kafka.sessionTimeoutMs,
    heartbeatIntervalMs: config.kafka.heartbeatIntervalMs,
    onAssigned({ generation, partitions }) {
      const grown = partitions.some(partition => partition >= partitionCount);
      readiness.set('kafka', grown ? 'the partition count has changed: drain and restart every handler' : undefined);
      readFaults.keepOnly(partitions);
      tenures.assigned({ generation, partitions: partitions.filter(partition => partition < partitionCount) });
    },
    onLost(reason) {
      readiness.set('kafka', reason);
      readFaults.keepOnly([]);
      tenures.lost();
    },
  });

  return async () => {
    clearInterval(committing);
    const patienceMs = ops.drainTimeoutMs / 5;
    await within(worker.close(), patienceMs);
    await within(publisher.close(patienceMs / 2), patienceMs);
    await within(leave(), patienceMs);
    await within(outboxSize.close(), patienceMs / 4);
    await within(pool.end(), patienceMs / 4);
  };

  async function leave(): Promise<void> {
    await commitForLag();
    await controlGroup?.close();
    await tenures.close();
  }

  /** Another handler has found that the ledger went back: its transaction fences ours, and a handler without any hears of it here. */
  async function stopWithOthers(): Promise<void> {
    if (tenures.held().length === 0 && readiness.reasons().ledger === undefined) return;
    const isStopped = await check.isStopped().catch(() => false);
    if (isStopped) tenures.claimAgain(tenures.held());
  }

  async function commitForLag(): Promise<void> {
    const offsets = lag.take(tenures.held());
    if (offsets.length === 0) return;
    await controlGroup?.commit(offsets).catch((error: unknown) => {
      log.debug(
        { event: 'positions_not_committed', reason: messageOf(error) },
        'positions were not committed to Kafka',
      );
    });
  }
}

/** Counts records that another partitioner has put where their key does not belong. They are decided all the same. */
function watchPlaces(
  sort: Sort,
  placeOf: (key: string) => number,
  metrics: HandlerMetrics,
  { log }: Pick<HandlerOptions<unknown, unknown>['ops'], 'log'>,
): Sort {
  return (record: KafkaRecord, topicId: string) => {
    const key = keyText(record);
    if (key !== undefined && placeOf(key) !== record.partition) {
      metrics.misplaced.inc({ topic: record.topic });
      const { topic, partition, offset } = record;
      log.warn(
        { event: 'record_misplaced', topic, partition, offset },
        "a record lies in another partition than its key's",
      );
    }
    return sort(record, topicId);
  };
}
