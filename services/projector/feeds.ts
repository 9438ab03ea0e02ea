import type {
  DirectReader,
  KafkaRecord,
  ReadFault,
  RecordSink,
  TopicPartition,
  Topics,
} from '../../lib/kafka/index.ts';
import type { Ops } from '../../lib/ops/index.ts';
import type { ReadPoint } from './batch.ts';
import { Feed } from './feed.ts';
import type { ClaimedPosition } from './positions.ts';

/** The next records of one partition. */
export interface Helping {
  feed: Feed;
  from: number;
  next: number;
  records: readonly KafkaRecord[];
  read?: ReadPoint;
}

export interface FeedsOptions {
  reader: DirectReader;
  topics: Pick<Topics, 'offsets'>;
  /** Most bytes of records of one partition that wait; a fetch that is under way comes on top. */
  bytesPerPartition: number;
  /** Called when there are records to take. */
  onWork(): void;
  /** Called for a partition that can't be read where its position is: perhaps somebody has moved it. */
  onLost(at: TopicPartition): void;
  /** Called for a partition whose topic is not the one any more that its position is in. */
  onRecreated(at: TopicPartition): void;
  /** The tables that a topic feeds. */
  tablesOf(topic: string): readonly string[];
  ops: Pick<Ops, 'log' | 'readiness'>;
}

/** How long a partition that can't be read is left alone, ms. */
const retryMs = 2_000;
/** A partition that is read again without a fault for so long is well, ms; the reader takes its time to be sure. */
const recoveredMs = 5_000;

/** The partitions that this process reads, each with a bounded queue; who is full is not read. */
export class Feeds {
  readonly #options: FeedsOptions;
  readonly #feeds = new Map<string, Feed>();
  readonly #blocked = new Set<Feed>();
  /** Those that the reader has let go of for a fault. */
  readonly #mending = new Set<Feed>();
  readonly #troubles = new Map<string, { at: TopicPartition; reason: string }>();
  #turn = 0;

  constructor(options: FeedsOptions) {
    this.#options = options;
  }

  has(at: TopicPartition): boolean {
    return this.#feeds.has(nameOf(at));
  }

  all(): readonly Feed[] {
    return [...this.#feeds.values()];
  }

  open(claimed: ClaimedPosition): void {
    this.close(claimed);
    this.#clear(claimed);
    const feed = new Feed(claimed, this.#options.bytesPerPartition);
    this.#feeds.set(nameOf(feed.at), feed);
    this.#read(feed);
  }

  /** Says why a partition is not opened, until it is. */
  refuse({ topic, partition }: TopicPartition, reason: string): void {
    this.close({ topic, partition });
    this.#report({ topic, partition }, reason);
  }

  close(at: TopicPartition): void {
    const feed = this.#feeds.get(nameOf(at));
    if (!feed) return;
    this.#feeds.delete(nameOf(at));
    this.#blocked.delete(feed);
    this.#mending.delete(feed);
    this.#clear(feed.at);
    this.#options.reader.unassign(at);
  }

  /** Closes all but those of these partitions; what was refused of others is not ours to tell any more. */
  keepOnly(partitions: ReadonlySet<number>): void {
    for (const { at } of this.all()) if (!partitions.has(at.partition)) this.close(at);
    for (const { at } of [...this.#troubles.values()]) if (!partitions.has(at.partition)) this.#clear(at);
  }

  closeAll(): void {
    this.keepOnly(new Set());
  }

  /** Records of as many partitions as have some, at most `limit`, beginning with another partition each time. */
  take(limit: number): Helping[] {
    const ready = this.all().filter(feed => feed.hasWork && !this.#blocked.has(feed));
    const start = ready.length === 0 ? 0 : this.#turn++ % ready.length;
    const helpings: Helping[] = [];
    let room = limit;
    for (const [index, feed] of [...ready.slice(start), ...ready.slice(0, start)].entries()) {
      if (room === 0) break;
      const share = Math.max(1, Math.floor(room / (ready.length - index)));
      const helping = { feed, ...feed.peek(share) };
      helpings.push(helping);
      room -= Math.min(room, helping.records.length);
    }
    return helpings;
  }

  /** What was taken is applied up to `next`. */
  passed(feed: Feed, next: number): void {
    if (!this.#isOpen(feed)) return;
    feed.passed(next);
    if (!this.#mending.has(feed)) {
      this.#clear(feed.at);
      if (feed.hasRoom) this.#read(feed);
    }
  }

  /** Leaves a partition's records where they are until {@link release}. */
  hold(feed: Feed): void {
    if (this.#isOpen(feed)) this.#blocked.add(feed);
  }

  release(feed: Feed): void {
    if (this.#blocked.delete(feed)) this.#options.onWork();
  }

  /** Says why a partition's records stay where they are, and leaves them there for a time. */
  block(feed: Feed, reason: string, ms: number): void {
    if (!this.#isOpen(feed)) return;
    this.#report(feed.at, reason);
    this.#blocked.add(feed);
    setTimeout(() => this.release(feed), ms).unref();
  }

  /** Says why a partition does not go on, until it does. */
  tell(feed: Feed, reason: string): void {
    if (this.#isOpen(feed)) this.#report(feed.at, reason);
  }

  #isOpen(feed: Feed): boolean {
    return this.#feeds.get(nameOf(feed.at)) === feed;
  }

  #read(feed: Feed): void {
    const { reader, onWork } = this.#options;
    if (reader.position(feed.at) !== undefined) {
      reader.resume(feed.at);
      return;
    }
    const sink: RecordSink = {
      oldestMs: () => feed.oldestMs,
      onBatch: batch => {
        feed.add(batch);
        if (feed.isFull) reader.pause(feed.at);
        onWork();
      },
      onFault: (fault, _at, error) => {
        this.#mending.add(feed);
        if (fault === 'TOPIC_RECREATED') this.#options.onRecreated(feed.at);
        else void this.#mend(feed, fault, error);
      },
    };
    reader.assign(feed.at, feed.fetched, sink, feed.topicId, feed.lastEpoch);
  }

  /** What retention has deleted is passed over; anything else is waited for. @param error says what cannot be read. */
  async #mend(feed: Feed, fault: ReadFault, error?: Error): Promise<void> {
    const { topic, partition } = feed.at;
    let reason = error?.message ?? `${topic}/${partition} can't be read at offset ${feed.fetched}: ${fault}`;
    if (fault === 'TRUNCATED') {
      reason = this.#truncated(feed);
      this.#options.onLost(feed.at);
    }
    if (fault === 'OFFSET_OUT_OF_RANGE') {
      const offsets = await this.#options.topics.offsets(topic, [partition]).catch(() => undefined);
      const { start, end } = offsets?.get(partition) ?? {};
      if (!this.#isOpen(feed)) return;
      if (start !== undefined && start > feed.fetched) {
        this.#options.ops.log.warn(
          { event: 'view_records_expired', topic, partition, from: feed.fetched, to: start },
          'retention has deleted records',
        );
        feed.skipTo(start);
        this.#mending.delete(feed);
        this.#read(feed);
        this.#options.onWork();
        return;
      }
      if (end !== undefined && end < feed.fetched) {
        reason = `${topic}/${partition} ends at ${end}, before the position ${feed.fetched}: created again? Rebuild its tables`;
        this.#options.onLost(feed.at);
      }
    }
    if (!this.#isOpen(feed)) return;
    const trouble = this.#report(feed.at, reason);
    setTimeout(() => {
      if (!this.#mending.delete(feed)) return;
      this.#read(feed);
      setTimeout(() => {
        if (this.#isOpen(feed) && this.#troubles.get(nameOf(feed.at)) === trouble) this.#clear(feed.at);
      }, recoveredMs).unref();
    }, retryMs).unref();
  }

  /** Rows of records that are gone stay in the tables until they are built anew; nothing of another history is added to them. */
  #truncated({ at: { topic, partition }, fetched }: Feed): string {
    const commands = this.#options.tablesOf(topic).map(table => `npm run rebuild -- ${table}`);
    return `${topic}/${partition} was truncated before offset ${fetched} (an unclean leader election): ${commands.join(', ')}`;
  }

  #report(at: TopicPartition, reason: string): { reason: string } {
    const name = nameOf(at);
    if (this.#troubles.get(name)?.reason !== reason)
      this.#options.ops.log.warn({ event: 'view_partition_waits', ...at, reason }, 'a partition waits');
    const trouble = { at, reason };
    this.#troubles.set(name, trouble);
    this.#tell();
    return trouble;
  }

  #clear(at: TopicPartition): void {
    if (this.#troubles.delete(nameOf(at))) this.#tell();
  }

  /** Several partitions may be in trouble; readiness tells of the first. */
  #tell(): void {
    const [first] = this.#troubles.values();
    const others = this.#troubles.size - 1;
    const reason = first && (others > 0 ? `${first.reason} (and ${others} more)` : first.reason);
    this.#options.ops.readiness.set('partitions', reason);
  }
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
