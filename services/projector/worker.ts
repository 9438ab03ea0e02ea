import type { AppPlan } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import type { KafkaRecord, TopicPartition } from '../../lib/kafka/index.ts';
import type { Closable, Ops } from '../../lib/ops/index.ts';
import { applyBatch, type BatchResult, type Chunk, type Target } from './batch.ts';
import type { Feeds, Helping } from './feeds.ts';
import type { Letters, Misfit } from './letters.ts';
import type { ProjectorMetrics } from './metrics.ts';
import { type ReadRecord, readRecord } from './reading.ts';
import { applySplitting } from './split.ts';
import { faultOf, type Store } from './store.ts';

export interface WorkerOptions {
  feeds: Feeds;
  store: Pick<Store, 'transaction'>;
  target: Target;
  tables: AppPlan['tables'];
  letters: Letters;
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

/** PostgreSQL refuses a record: its partition goes on when its letter is settled. */
class RefusedRecordError extends Error {}

/** Applies what the feeds hold, one batch after the other. */
export function openWorker(options: WorkerOptions): Worker {
  const { feeds, store, target, tables, letters, metrics, ops } = options;
  /** Records that PostgreSQL has refused, and why. */
  const refused = new WeakMap<KafkaRecord, string>();
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
        if (error instanceof RefusedRecordError) continue;
        const isAway = faultOf(error) === 'away';
        if (isAway)
          ops.log.warn({ event: 'view_batch_waits', reason: messageOf(error) }, 'a batch could not be applied yet');
        else ops.log.error({ event: 'view_batch_failed', error }, 'a batch could not be applied');
        ops.readiness.set('rows', `records can't be applied: ${messageOf(error)}`);
        await pause(Math.min(backOffMs.most, backOffMs.first * 2 ** Math.min(10, failures++)));
      }
    }
  }

  async function work(helpings: readonly Helping[]): Promise<void> {
    const chunks = helpings.map(judge).filter(({ from, next }) => next > from);
    if (chunks.length === 0) return;
    const stop = metrics.batch.startTimer();
    const result = await applySplitting(chunks, applied => apply(helpings, applied), refuse);
    stop();
    if (result.kind === 'stale') {
      metrics.fenced.inc();
      ops.log.info(
        { event: 'view_positions_moved_on', at: result.at.map(({ topic, partition }) => `${topic}/${partition}`) },
        'positions have moved on',
      );
      options.onStale(result.at.map(({ topic, partition }) => ({ topic, partition })));
      return;
    }
    options.onApplied();
  }

  /** A batch may be applied in pieces: each is passed as soon as it is committed. */
  async function apply(helpings: readonly Helping[], chunks: readonly Chunk[]): Promise<BatchResult> {
    const result = await store.transaction(queries => applyBatch(queries, target, chunks));
    if (result.kind === 'stale') return result;
    for (const { topic, partition, next, records } of chunks) {
      const helping = helpings.find(({ feed: { at } }) => at.topic === topic && at.partition === partition);
      if (helping !== undefined) feeds.passed(helping.feed, next);
      metrics.records.inc({ topic }, records.length);
    }
    return result;
  }

  async function refuse(record: KafkaRecord, reason: string): Promise<never> {
    refused.set(record, reason);
    throw new RefusedRecordError();
  }

  /** A chunk ends before the first record whose dead letter is not settled; the letters of the rest go together. */
  function judge({ feed, from, next, records, read: came }: Helping): Chunk {
    const { topic, partition } = feed.at;
    const judged: ReadRecord[] = [];
    const unsettled: Misfit[] = [];
    for (const record of records) {
      const read = readRecord(tables, record);
      const misfit = read.misfit ?? refused.get(record);
      if (misfit !== undefined && !letters.isSettled(record)) unsettled.push({ record, reason: misfit });
      else if (unsettled.length === 0) judged.push(misfit === read.misfit ? read : { ...read, misfit });
    }
    const [first] = unsettled;
    if (first !== undefined) letters.post(feed, unsettled);
    const place = { topic, partition, epoch: feed.epoch, from };
    return { ...place, next: first?.record.offset ?? next, records: judged, read: came };
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
