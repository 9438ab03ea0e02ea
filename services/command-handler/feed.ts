import type { DirectReader, KafkaRecord, RecordBatch, RecordSink, TopicPartition } from '../../lib/kafka/index.ts';
import type { Batch, Slice } from './batch.ts';
import type { Claim } from './claims.ts';
import { type Sort, sizeOf } from './intake.ts';

export interface FeedOptions {
  reader: DirectReader;
  sort: Sort;
  /** Bytes of records that wait to be taken up. Beyond it partitions are not read until half of it is free. */
  bufferBytes: number;
  /** Whether what a partition's commands cause can be published now; else they wait. Ask by {@link Feed.take} again. */
  hasRoom?(partition: number): boolean;
  /** There is something to take. */
  onReady(): void;
  onFault: RecordSink['onFault'];
}

/** Records of claimed partitions, read ahead and taken in batches. */
export interface Feed {
  /** Reads from `readFrom` on; what was read under an earlier claim is forgotten. */
  open(claim: Claim, readFrom: number): void;
  /** Reads again from this offset on, under the same claim: what was read behind it is gone from the log. */
  goBack(at: TopicPartition, offset: number): void;
  close(at: TopicPartition): void;
  /** Up to `limit` records, of all partitions fairly; undefined when there is none. */
  take(limit: number): Batch | undefined;
  bufferedBytes(): number;
}

interface Channel {
  claim: Claim;
  records: KafkaRecord[];
  /** Timestamp of the first record of the batch that was taken last: until the next is taken, it is not worked off. */
  takenMs: number | undefined;
  paused: boolean;
  /** It has no room: it is not read, and keeps a small part of what was read ahead. */
  parked: boolean;
  /** Behind the last record read, gaps of the log included. */
  nextOffset: number;
  /** Leader epoch of the record before `nextOffset`, where it is known. */
  lastEpoch: number | undefined;
}

export function openFeed(options: FeedOptions): Feed {
  const { reader, sort, bufferBytes, hasRoom = () => true, onReady, onFault } = options;
  const channels = new Map<string, Channel>();
  let buffered = 0;
  let turn = 0;

  return {
    open,
    goBack(at, offset) {
      const claim = channels.get(nameOf(at))?.claim;
      if (claim !== undefined) open(claim, Math.min(claim.position, offset));
    },
    close,
    take,
    bufferedBytes: () => buffered,
  };

  function open(claim: Claim, readFrom: number): void {
    close(claim);
    const lastEpoch = epochOf(claim, readFrom);
    const channel: Channel = {
      ...{ claim: { ...claim }, records: [], takenMs: undefined, paused: false, parked: false },
      ...{ nextOffset: readFrom, lastEpoch },
    };
    channels.set(nameOf(claim), channel);
    read(channel);
  }

  function close(at: TopicPartition): void {
    const channel = channels.get(nameOf(at));
    if (channel === undefined) return;
    channels.delete(nameOf(at));
    reader.unassign(at);
    for (const record of channel.records) buffered -= sizeOf(record);
    // Others may have been paused for its records, and have nothing left that would make anybody `take`.
    if (buffered < bufferBytes / 2) resume();
  }

  function read(channel: Channel): void {
    reader.assign(
      channel.claim,
      channel.nextOffset,
      {
        onBatch: batch => add(channel, batch),
        oldestMs: () => channel.takenMs ?? channel.records[0]?.timestampMs,
        onFault(fault, at, error) {
          if (channels.get(nameOf(at)) === channel) onFault(fault, at, error);
        },
      },
      channel.claim.topicId,
      channel.lastEpoch,
    );
  }

  function add(channel: Channel, { records, nextOffset, lastEpoch }: RecordBatch): void {
    if (channels.get(nameOf(channel.claim)) !== channel || channel.parked) return;
    for (const record of records) {
      if (record.offset < channel.nextOffset) continue; // the batch comes again, and this was taken before
      channel.records.push(record);
      buffered += sizeOf(record);
      channel.nextOffset = record.offset + 1;
    }
    if (nextOffset >= channel.nextOffset) channel.lastEpoch = lastEpoch;
    channel.nextOffset = Math.max(channel.nextOffset, nextOffset);
    if (buffered >= bufferBytes) {
      reader.pause(channel.claim);
      channel.paused = true;
    }
    if (records.length > 0) onReady();
  }

  function take(limit: number): Batch | undefined {
    for (const channel of channels.values()) {
      channel.takenMs = undefined;
      const waits = !hasRoom(channel.claim.partition);
      if (waits && !channel.parked) park(channel);
      else if (!waits && channel.parked) unpark(channel);
    }
    const full = [...channels.values()].filter(({ records, parked }) => records.length > 0 && !parked);
    if (full.length === 0) return undefined;
    const first = turn++ % full.length;
    const slices: Slice[] = [];
    let left = limit;
    [...full.slice(first), ...full.slice(0, first)].forEach((channel, index) => {
      const share = Math.ceil(left / (full.length - index));
      const slice = share > 0 ? takeFrom(channel, share) : undefined;
      if (slice === undefined) return;
      slices.push(slice);
      left -= slice.intakes.length;
    });
    if (buffered < bufferBytes / 2) resume();
    return slices;
  }

  /** Its records must not keep the buffer from the others': all parked ones together have a quarter of it. */
  function park(channel: Channel): void {
    const { claim, records } = channel;
    reader.unassign(claim);
    channel.parked = true;
    channel.paused = false;
    let leftBytes = bufferBytes / 4 / channels.size;
    const kept = records.findIndex(record => (leftBytes -= sizeOf(record)) < 0);
    if (kept >= 0) {
      const last = records[kept - 1];
      channel.nextOffset = last === undefined ? (records[0]?.offset ?? channel.nextOffset) : last.offset + 1;
      // Without it a truncation behind it would not be noticed when it is read on.
      channel.lastEpoch = last === undefined ? epochOf(claim, channel.nextOffset) : epochOrUnknown(last.leaderEpoch);
      for (const record of records.splice(kept)) buffered -= sizeOf(record);
    }
    if (buffered < bufferBytes / 2) resume();
  }

  function unpark(channel: Channel): void {
    channel.parked = false;
    read(channel);
  }

  function takeFrom(channel: Channel, limit: number): Slice {
    const { claim } = channel;
    const { topic, partition, epoch, topicId, position: fromOffset } = claim;
    // Sorted before they are taken out: nothing is lost where that throws.
    const intakes = channel.records.slice(0, limit).map(record => sort(record, topicId));
    const taken = channel.records.splice(0, limit);
    channel.takenMs = taken[0]?.timestampMs;
    for (const record of taken) buffered -= sizeOf(record);
    const last = taken.at(-1);
    claim.position = channel.records[0]?.offset ?? channel.nextOffset;
    claim.leaderEpoch = epochBefore(channel, last) ?? null;
    const toLeaderEpoch = claim.leaderEpoch ?? undefined;
    return { topic, partition, epoch, fromOffset, toOffset: claim.position, toLeaderEpoch, intakes };
  }

  function resume(): void {
    for (const channel of channels.values()) {
      if (!channel.paused) continue;
      channel.paused = false;
      reader.resume(channel.claim);
    }
  }
}

/** Leader epoch of the record before an offset, where it is the claim's position. */
function epochOf({ position, leaderEpoch }: Claim, offset: number): number | undefined {
  return offset === position ? (leaderEpoch ?? undefined) : undefined;
}

function epochOrUnknown(leaderEpoch = -1): number | undefined {
  return leaderEpoch < 0 ? undefined : leaderEpoch;
}

/** Leader epoch of the record right before a channel's position. Where records are missing there, it is not known. */
function epochBefore({ claim, records, lastEpoch }: Channel, last: KafkaRecord | undefined): number | undefined {
  if (records.length === 0) return lastEpoch;
  return last?.offset === claim.position - 1 ? last.leaderEpoch : undefined;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
