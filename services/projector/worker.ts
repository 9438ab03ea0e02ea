import type { AppPlan } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { DeadLetters, KafkaRecord, TopicPartition } from '../../lib/kafka/index.ts';
import type { Closable, Ops } from '../../lib/ops/index.ts';
import { applyBatch, type Chunk, type Target } from './batch.ts';
import type { Feed } from './feed.ts';
import type { Feeds, Helping } from './feeds.ts';
import type { ProjectorMetrics } from './metrics.ts';
import { type ReadRecord, readRecord } from './reading.ts';
import { applySplitting } from './split.ts';
import { faultOf, type Store } from './store.ts';

export interface WorkerOptions {
  feeds: Feeds;
  store: Pick<Store, 'transaction'>;
  target: Target;
  tables: AppPlan['tables'];
  deadLetters: DeadLetters;
  batchRecords: number;
  metrics: ProjectorMetrics;
  ops: Pick<Ops, 'log' | 'readiness'>;
  onStale(at: readonly TopicPartition[]): void;
  /** Called after each batch. */
  onApplied(): void;
}

export interface Worker extends Closable {
  /** There may be records to apply. */
  wake(): void;
  /** Finishes the batch under way. */
  close(): Promise<void>;
}

const backOffMs = { first: 100, most: 2_000 };

interface Judged {
  feed: Feed;
  chunk: Chunk;
}

/** What dead letters name as their cause. */
const exception = 'penstock.projector.MisfitException';

/** Applies what the feeds hold, one batch after the other. */
export function openWorker(options: WorkerOptions): Worker {
  const { feeds, store, target, tables, deadLetters, metrics, ops } = options;
  /** Dead letters of records that are not applied yet: a batch that is tried again sends none twice. */
  const sent = new WeakSet<KafkaRecord>();
  let closed = false;
  let hasNews = false;
  let wakeUp: (() => void) | undefined;

  const wake = (): void => {
    hasNews = true;
    wakeUp?.();
  };
  const running = run();

  async function run(): Promise<void> {
    for (let failures = 0; !closed; ) {
      hasNews = false;
      const helpings = feeds.take(options.batchRecords);
      if (helpings.length === 0) {
        // What could not be applied is another projector's by now.
        ops.readiness.set('rows', undefined);
        failures = 0;
        if (!hasNews) await new Promise<void>(resolve => (wakeUp = resolve));
        continue;
      }
      try {
        await work(helpings);
        failures = 0;
        ops.readiness.set('rows', undefined);
      } catch (error) {
        const isAway = faultOf(error) === 'away';
        if (isAway) ops.log.warn({ reason: messageOf(error) }, 'a batch could not be applied yet');
        else ops.log.error({ error }, 'a batch could not be applied');
        ops.readiness.set('rows', `records can't be applied: ${messageOf(error)}`);
        await pause(Math.min(backOffMs.most, backOffMs.first * 2 ** Math.min(10, failures++)));
      }
    }
  }

  async function work(helpings: readonly Helping[]): Promise<void> {
    const judged: Judged[] = [];
    for (const helping of helpings) {
      const chunk = await judge(helping);
      if (chunk.next > chunk.from) judged.push({ feed: helping.feed, chunk });
    }
    if (judged.length === 0) return;
    const stop = metrics.batch.startTimer();
    const result = await applySplitting(
      judged.map(({ chunk }) => chunk),
      chunks => store.transaction(queries => applyBatch(queries, target, chunks)),
      (record, reason) => deadLetters.send({ record, reason, exception }),
    );
    stop();
    if (result.kind === 'stale') {
      metrics.fenced.inc();
      ops.log.info({ at: result.at.map(({ topic, partition }) => `${topic}/${partition}`) }, 'positions have moved on');
      options.onStale(result.at.map(({ topic, partition }) => ({ topic, partition })));
      return;
    }
    for (const { feed, chunk } of judged) {
      feeds.passed(feed, chunk.next);
      metrics.records.inc({ topic: chunk.topic }, chunk.records.length);
    }
    options.onApplied();
  }

  /** Sends what doesn't fit to the dead letters; a chunk ends before a record that can't be sent now. */
  async function judge({ feed, from, next, records }: Helping): Promise<Chunk> {
    const { topic, partition } = feed.at;
    const judged: ReadRecord[] = [];
    for (const record of records) {
      const read = readRecord(tables, record);
      const reason = read.misfit;
      if (reason !== undefined && !sent.has(record)) {
        try {
          await deadLetters.send({ record, reason, exception });
          sent.add(record);
          ops.log.warn({ topic, partition, offset: record.offset, reason }, 'a record feeds no table');
        } catch (error) {
          feeds.block(feed, messageOf(error));
          return { topic, partition, epoch: feed.epoch, from, next: record.offset, records: judged };
        }
      }
      judged.push(read);
    }
    return { topic, partition, epoch: feed.epoch, from, next, records: judged };
  }

  function pause(ms: number): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, ms);
      if (closed) {
        clearTimeout(timer);
        resolve();
      }
      stopPause = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  }
  let stopPause: (() => void) | undefined;

  return {
    wake,
    async close() {
      closed = true;
      wake();
      stopPause?.();
      await running;
    },
  };
}
