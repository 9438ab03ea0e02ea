import { setTimeout as sleep } from 'node:timers/promises';
import type { AppPlan, TablePlan } from '../../lib/app/index.ts';
import {
  type EpochEnd,
  type KafkaRecord,
  OffsetOutOfRangeError,
  type TopicPartition,
  type Topics,
} from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { TableVersion } from '../../lib/views/index.ts';
import { applyBatch, type Chunk, type Target } from './batch.ts';
import {
  insertPositions,
  liveScope,
  lockTopics,
  readTopics,
  restartPosition,
  type StoredPosition,
} from './positions.ts';
import { readRecord } from './reading.ts';
import { applySplitting, retrying } from './split.ts';
import { faultOf, type Queries, type Store, type StoreSession } from './store.ts';
import { createVersion, dropScope, dropUnfinished, makeLive, retireLive, tryBuildLock } from './versions.ts';

export interface BuildContext {
  store: Pick<Store, 'session'>;
  topics: Pick<Topics, 'identity' | 'fetch' | 'offsets' | 'epochEnd'>;
  /** All tables of the app: a record that fits one of its topic's tables not feeds none. */
  tables: AppPlan['tables'];
  batchRecords: number;
  log: Pick<Logger, 'info' | 'warn'>;
  signal: AbortSignal;
  onProgress(progress: Progress): void;
}

/** In records, or rather offsets: a compacted log has fewer. */
export interface Progress {
  done: number;
  total: number;
}

export type BuildResult = { kind: 'swapped'; version: number } | { kind: 'busy' };

/** Bytes of one fetch. */
const fetchBytes = 1_048_576;
/** Pause before the next attempt to swap, ms. */
const retryMs = 20;
/** Partitions that are fetched side by side. */
const fetchesAtOnce = 4;

/**
 * Builds a new version of a table from the beginning of the log, beside the live one, and swaps it in. The new version
 * follows the positions that the projectors have reached and never overtakes them. The swap is one transaction that holds
 * these positions: what is missing then is applied in it, so that both versions are of the same state, and whoever reads
 * or feeds the table meets the one or the other, whole.
 *
 * All writes go over the session that holds the table's build lock: where it breaks, so does the build, and the next one
 * begins anew. @returns `busy` while another builds the table.
 */
export async function buildTable(context: BuildContext, plan: TablePlan): Promise<BuildResult> {
  const session = await context.store.session();
  try {
    if (!(await tryBuildLock(session, plan.name))) return { kind: 'busy' };
    const version = await session.transaction(async queries => {
      await dropUnfinished(queries, plan.name);
      return createVersion(queries, plan, 'building');
    });
    context.log.info({ event: 'view_build_started', table: plan.name, version: version.version }, 'building a table');
    const build = new Build(context, session, version);
    await build.begin();
    // Records keep coming: how many may be missing when the projectors are held up grows until it is enough.
    for (let gap = context.batchRecords; ; gap *= 2) {
      await build.catchUp(gap);
      if (await build.trySwap(gap)) break;
      await sleep(retryMs, undefined, { signal: context.signal });
    }
    context.log.info(
      { event: 'view_build_live', table: plan.name, version: version.version },
      'the new version is live',
    );
    await session.transaction(queries => dropScope(queries, version.id));
    return { kind: 'swapped', version: version.version };
  } finally {
    session.release();
  }
}

class Build {
  readonly #context: BuildContext;
  readonly #session: StoreSession;
  readonly #version: TableVersion;
  readonly #target: Target;
  readonly #next = new Map<string, number>();
  readonly #starts = new Map<string, number>();
  /** Of the topics that it reads. */
  readonly #topicIds = new Map<string, string>();
  /** Ends of logs that end before the projectors' positions, or are of another history. */
  readonly #ends = new Map<string, number>();
  /** Partitions whose log was truncated below the projectors' positions. */
  readonly #cut = new Set<string>();
  readonly #lastEpochs = new Map<string, number | undefined>();

  constructor(context: BuildContext, session: StoreSession, version: TableVersion) {
    this.#context = context;
    this.#session = session;
    this.#version = version;
    this.#target = { scope: version.id, versions: async () => [version] };
  }

  /** Positions of its own, at the beginning of the log. */
  async begin(): Promise<void> {
    const live = await readTopics(this.#session, liveScope, this.#version.plan.topics);
    for (const [topic, positions] of Map.groupBy(live, ({ topic }) => topic)) {
      const identity = await this.#context.topics.identity(topic);
      if (identity !== undefined) this.#topicIds.set(topic, identity.topicId);
      const offsets = await this.#context.topics.offsets(
        topic,
        positions.map(({ partition }) => partition),
      );
      for (const position of positions) {
        const { partition, next } = position;
        if (await this.#isCut(position)) this.#cut.add(`${topic}/${partition}`);
        const isOther = this.#isAnew(position) || this.#cut.has(`${topic}/${partition}`);
        if (isOther) this.#ends.set(`${topic}/${partition}`, offsets.get(partition)?.end ?? 0);
        // Where nothing is left of what the projectors have read, there is nothing to read again.
        const from = offsets.get(partition)?.start ?? 0;
        const start = this.#isAnew(position) ? from : Math.min(next, from);
        this.#next.set(`${topic}/${partition}`, start);
        this.#starts.set(`${topic}/${partition}`, start);
      }
    }
    const starts = live.map(at => ({ ...at, offset: this.#nextOf(at) }));
    await insertPositions(this.#session, this.#version.id, starts);
  }

  /** Until no more than half of `gap` is missing, or so much comes in meanwhile that it hardly gets less. */
  async catchUp(gap: number): Promise<void> {
    for (let before = Number.POSITIVE_INFINITY; ; ) {
      const goals = await this.#capped(await readTopics(this.#session, liveScope, this.#version.plan.topics));
      const open = goals.filter(goal => this.#nextOf(goal) < goal.next);
      this.#report(goals);
      const missing = this.#missing(goals);
      if (missing <= gap / 2 || missing > before * 0.9) return;
      before = missing;
      for (let at = 0; at < open.length; at += fetchesAtOnce) {
        await this.#advance(open.slice(at, at + fetchesAtOnce), chunks =>
          applySplitting(
            chunks,
            part => this.#session.transaction(queries => applyBatch(queries, this.#target, part)),
            async ({ topic, partition, offset }: KafkaRecord, reason: string) =>
              this.#context.log.warn(
                { event: 'view_record_left_out', topic, partition, offset, reason },
                'a record is left out',
              ),
          ),
        );
      }
    }
  }

  /** False where the projectors have gone too far meanwhile to hold them up, or a record needs a transaction of its own. */
  async trySwap(gap: number): Promise<boolean> {
    const before = new Map(this.#next);
    try {
      return await retrying(() => this.#session.transaction(queries => this.#swap(queries, gap)));
    } catch (error) {
      if (faultOf(error) !== 'record') throw error;
      for (const [name, next] of before) this.#next.set(name, next);
      return false;
    }
  }

  async #swap(queries: Queries, gap: number): Promise<boolean> {
    const live = await lockTopics(queries, liveScope, this.#version.plan.topics);
    const goals = await this.#capped(live);
    const positions = await lockTopics(queries, this.#version.id, this.#version.plan.topics);
    for (const { topic, partition, next } of positions) this.#next.set(`${topic}/${partition}`, next);
    if (this.#missing(goals) > gap) return false;
    for (let missing = Number.POSITIVE_INFINITY; this.#missing(goals) > 0; ) {
      // No headway, say while a leader moves: not while the projectors wait for us.
      if (this.#missing(goals) === missing) return false;
      missing = this.#missing(goals);
      await this.#advance(
        goals.filter(goal => this.#nextOf(goal) < goal.next),
        chunks => applyBatch(queries, this.#target, chunks),
      );
    }
    for (const position of live) {
      const { topic, partition, next } = position;
      const end = this.#ends.get(`${topic}/${partition}`);
      const isCut = this.#cut.has(`${topic}/${partition}`);
      if (end === undefined || !(next > end || isCut || this.#isAnew(position))) continue;
      const at = { topic, partition, topicId: this.#topicIds.get(topic) };
      await restartPosition(queries, at, isCut ? Math.min(next, end) : end, this.#version.id);
    }
    await retireLive(queries, [this.#version.table]);
    await makeLive(queries, this.#version);
    this.#report(goals);
    return true;
  }

  /** Reads a piece of each partition, no further than its goal, and applies it. */
  async #advance(
    goals: readonly StoredPosition[],
    apply: (chunks: readonly Chunk[]) => ReturnType<typeof applyBatch>,
  ): Promise<void> {
    this.#context.signal.throwIfAborted();
    const chunks = await Promise.all(goals.map(goal => this.#read(goal)));
    for (const chunk of chunks.flatMap(whole => slices(whole, this.#context.batchRecords))) {
      const result = await apply([chunk]);
      if (result.kind === 'stale') throw new Error(`somebody else moved a position of ${this.#version.table}'s build`);
      this.#next.set(`${chunk.topic}/${chunk.partition}`, chunk.next);
    }
  }

  async #read(goal: StoredPosition): Promise<Chunk> {
    const { topic, partition } = goal;
    const from = this.#nextOf(goal);
    const name = `${topic}/${partition}`;
    const batch = await this.#context.topics
      .fetch(goal, from, fetchBytes, this.#lastEpochs.get(name))
      .catch(async (error: unknown) => {
        if (!(error instanceof OffsetOutOfRangeError)) throw error;
        // Retention has moved on since: what is gone from the log can't be built.
        const { start = from } = (await this.#context.topics.offsets(topic, [partition])).get(partition) ?? {};
        if (start <= from) throw error;
        return { records: [], nextOffset: start, lastEpoch: undefined };
      });
    const { tables } = this.#context;
    if ('topicId' in batch && batch.topicId !== this.#topicIds.get(topic)) {
      throw new Error(`${topic} was created again while the table was built`);
    }
    const records = batch.records.filter(({ offset }) => offset < goal.next).map(record => readRecord(tables, record));
    if (batch.nextOffset <= from) {
      const { end } = (await this.#context.topics.offsets(topic, [partition])).get(partition) ?? {};
      if (end !== undefined && end < goal.next) this.#ends.set(`${topic}/${partition}`, end);
    }
    const next = Math.min(batch.nextOffset, goal.next);
    const before = records.at(-1)?.record;
    const known = before?.offset === next - 1 ? before.leaderEpoch : undefined;
    const lastEpoch = next === batch.nextOffset ? batch.lastEpoch : known;
    this.#lastEpochs.set(name, lastEpoch);
    return { topic, partition, from, next, epoch: 0, records, read: { next, lastEpoch } };
  }

  /** Positions beyond the end of a log that was created again: there is no more to build than the log has. */
  async #capped(goals: readonly StoredPosition[]): Promise<StoredPosition[]> {
    const capped: StoredPosition[] = [];
    for (const goal of goals) {
      const name = `${goal.topic}/${goal.partition}`;
      if (this.#ends.has(name)) {
        const { end = 0 } =
          (await this.#context.topics.offsets(goal.topic, [goal.partition])).get(goal.partition) ?? {};
        this.#ends.set(name, end);
      }
      const end = this.#ends.get(name);
      capped.push({ ...goal, next: this.#isAnew(goal) ? (end ?? 0) : Math.min(goal.next, end ?? goal.next) });
    }
    return capped;
  }

  /** Whether the log was truncated below the projectors' position: rows of records that are gone stand in the live version. */
  async #isCut(position: StoredPosition): Promise<boolean> {
    const { next, leaderEpoch } = position;
    if (leaderEpoch === null || this.#isAnew(position)) return false;
    const found: EpochEnd | undefined = await this.#context.topics.epochEnd(position, leaderEpoch);
    return found !== undefined && (found.leaderEpoch !== leaderEpoch || found.endOffset < next);
  }

  /** Whether the projectors' position is in another topic of that name. */
  #isAnew({ topic, topicId }: StoredPosition): boolean {
    const now = this.#topicIds.get(topic);
    return topicId !== null && now !== undefined && topicId !== now;
  }

  #missing(goals: readonly StoredPosition[]): number {
    return goals.reduce((sum, goal) => sum + Math.max(0, goal.next - this.#nextOf(goal)), 0);
  }

  #nextOf({ topic, partition }: TopicPartition): number {
    return this.#next.get(`${topic}/${partition}`) ?? 0;
  }

  #report(goals: readonly StoredPosition[]): void {
    let done = 0;
    let total = 0;
    for (const goal of goals) {
      const start = this.#starts.get(`${goal.topic}/${goal.partition}`) ?? 0;
      done += this.#nextOf(goal) - start;
      total += goal.next - start;
    }
    this.#context.onProgress({ done, total });
  }
}

function slices(chunk: Chunk, size: number): Chunk[] {
  const found: Chunk[] = [];
  let { from } = chunk;
  for (let at = 0; at < chunk.records.length; at += size) {
    const records = chunk.records.slice(at, at + size);
    const isLast = at + size >= chunk.records.length;
    const next = isLast ? chunk.next : (records.at(-1)?.record.offset ?? from) + 1;
    found.push({ ...chunk, from, next, records });
    from = next;
  }
  return found.length > 0 ? found : [chunk];
}
