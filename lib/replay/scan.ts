/**
 * The Kafka tier: cold reads of the log. One scan of a partition serves every stream that waits for a stretch near it;
 * a bounded number of scans runs at once, the others wait in order.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { limitExceeded, messageOf, type PenstockError } from '../errors.ts';
import {
  KafkaUnavailableError,
  LogTruncatedError,
  type ReadFault,
  type RecordBatch,
  type TopicPartition,
  type Topics,
  UnreadableBatchError,
} from '../kafka/index.ts';
import type { Logger } from '../ops/index.ts';
import {
  differ,
  differenceOf,
  type LogRecord,
  logRecord,
  type Point,
  pointAt,
  pointOf,
  recordAt,
} from './log-record.ts';
import type { ReplayMetrics } from './metrics.ts';
import { fetchBytes } from './read-turns.ts';
import { openSilences } from './silence.ts';
import { isSameTopic } from './topic-mark.ts';
import { openBackOff, openPlaces } from './waiting.ts';

export interface ScanClient {
  /** First offset that it needs. Only read when it joins. */
  from: number;
  /** It is done when everything before this is passed. */
  until: number;
  /** OWN: only records with this key. */
  key: string | undefined;
  /**
   * Synchronous, in order, at least once a fetch: the records from `from` on that it wants, and how far the scan has
   * passed. `readBytes`: what was read for it since the last call. Answers false to leave (no room, closed).
   */
  scanned(records: readonly LogRecord[], through: Point, readBytes: number): boolean;
  /** Leader epoch of the record before `from`, as far as known. */
  lastEpoch?: number | undefined;
  /** Of the topic that it must be, where that is known. */
  mark?: string | undefined;
  /** The record at this offset, where there is one, must have this timestamp, and this leader epoch where that is known. */
  expected: Point | undefined;
  /**
   * The stretch is not in the log any more; or this is not the log that it was. @param error for `UNREADABLE`: what cannot be
   * read, where it is a batch of the log.
   */
  failed(fault: ScanFault, error?: UnreadableBatchError): void;
}

/** `BUSY`: too many wait for their turn already. `SILENT`: Kafka has not answered for the partition for too long. */
export type ScanFault = ReadFault | 'TIMESTAMP_DIFFERS' | 'BUSY' | 'SILENT';

/** What a stream ends with at `BUSY`. */
export function tooManyWait(): PenstockError {
  return limitExceeded('PENSTOCK_REPLAY_MAX_WAITING', 'too many replays wait: come back later');
}

export interface Scans {
  /** @returns leaves the scan; a client that is done or failed has left by itself. */
  join(at: TopicPartition, client: ScanClient): () => void;
  close(): void;
}

interface Scan {
  at: TopicPartition;
  /** Next offset to fetch; undefined while it waits for its place. */
  next: number | undefined;
  clients: Set<Rider>;
  /** Reads without progress since it last got on. */
  stuck: number;
}

/** A client on a scan. */
interface Rider {
  client: ScanClient;
  /** Next offset that it needs. */
  next: number;
  /** Leader epoch of the record before that. */
  lastEpoch: number | undefined;
  /** When its scan last got on, or it joined one that did not, ms of the process's own clock. */
  progressMs: number;
}

/** A stream joins a scan that is at most this many records before what it needs; else it gets one of its own. */
const joinWithin = 20_000;
/** What one read brings at most when OWN streams wait for it: each takes little of it. */
const ownFetchBytes = 524_288;
/** A read waits so long for company for each one that is under way, and never longer than that, ms. */
const gatherStepMs = 20;
const longestGatherMs = 200;
/** Fetches that bring no record before a read gives its clients word of how far it has come, and sees whether any are left. */
const emptyFetches = 32;
/** Fetches without progress before the bounds of the log are asked for. */
const patience = 3;

export interface ScansParts {
  topics: Topics;
  /** Scans under way at once, and those that wait for their turn. */
  concurrency: number;
  maxWaiting: number;
  /** How long a scan goes on without progress before its clients are told, ms. */
  stallTimeoutMs: number;
  metrics: ReplayMetrics;
  log: Logger;
}

export function openScans({ topics, concurrency, maxWaiting, stallTimeoutMs, metrics, log }: ScansParts): Scans {
  const places = openPlaces(concurrency, maxWaiting);
  const scans = new Map<string, Set<Scan>>();
  const closing = new AbortController();
  const silences = openSilences(topics, log, closing.signal);
  let underWay = 0;
  return {
    join(at, client) {
      const name = nameOf(at);
      const running = scans.get(name) ?? new Set();
      scans.set(name, running);
      const rider = { client, next: client.from, lastEpoch: client.lastEpoch, progressMs: performance.now() };
      let scan = [...running].find(candidate => reachable(candidate, client.from));
      if (scan === undefined) {
        scan = { at, next: undefined, clients: new Set(), stuck: 0 };
        running.add(scan);
        scan.clients.add(rider);
        void run(scan, client.key, () => {
          if (scan !== undefined) running.delete(scan);
          if (running.size === 0) scans.delete(name);
        });
      } else scan.clients.add(rider);
      const { clients } = scan;
      return () => clients.delete(rider);
    },
    close: () => closing.abort(),
  };

  /**
   * The more reads are under way, the longer a further one waits for others to join it: a herd shares its reads. Those of an
   * ALL stream don't: they have waited for room in its budget, and a wait for each would be most of what it takes.
   */
  async function gather(key: string | undefined): Promise<void> {
    const gatherMs = key === undefined ? 0 : Math.min(longestGatherMs, underWay * gatherStepMs);
    if (gatherMs > 0) await sleep(gatherMs, undefined, { signal: closing.signal }).catch(() => undefined);
  }

  /**
   * `key`: clients take turns by user; those of ALL streams, whom a role lets in, by the partition. A scan that does not get
   * on gives its place back while it waits.
   * Never rejects: what goes wrong is told to the clients or tried again.
   */
  async function run(scan: Scan, key: string | undefined, ended: () => void): Promise<void> {
    const backOff = openBackOff(closing.signal);
    await gather(key);
    gotOn(scan);
    while (scan.clients.size > 0 && !closing.signal.aborted) {
      const silence = silences.over(scan.at);
      if (silence !== undefined) await inTime(scan, silence);
      else {
        const place = places.take(key ?? `ALL ${nameOf(scan.at)}`);
        if (place === undefined) {
          ended();
          fail(scan, () => true, 'BUSY');
          return;
        }
        const queuedMs = performance.now();
        const leave = await place;
        // Waiting for its turn is no fault of its partition's.
        const nowMs = performance.now();
        for (const rider of scan.clients) rider.progressMs = Math.min(nowMs, rider.progressMs + nowMs - queuedMs);
        await readOn(scan, leave, backOff.reset);
        if (scan.clients.size > 0 && silences.over(scan.at) === undefined) await backOff.wait();
      }
      const silentSinceMs = performance.now() - stallTimeoutMs;
      fail(scan, ({ progressMs }) => progressMs <= silentSinceMs, 'SILENT');
    }
    ended(); // in the same tick as the last look at its clients: nobody joins a scan that is over
  }

  /** Until the partition answers, but no longer than the first of the clients may wait. */
  async function inTime(scan: Scan, silence: Promise<void>): Promise<void> {
    let sinceMs = performance.now();
    for (const { progressMs } of scan.clients) sinceMs = Math.min(sinceMs, progressMs);
    const leftMs = sinceMs + stallTimeoutMs - performance.now();
    const waiting = new AbortController();
    const late = sleep(Math.max(0, leftMs), undefined, { signal: waiting.signal }).catch(() => undefined);
    await Promise.race([silence, late]);
    waiting.abort();
  }

  /** In its place, for as long as it gets on. */
  async function readOn(scan: Scan, leave: () => void, progressed: () => void): Promise<void> {
    underWay += 1;
    metrics.scansUnderWay(1);
    try {
      while (scan.clients.size > 0 && !closing.signal.aborted && silences.over(scan.at) === undefined) {
        const from = firstNeeded(scan);
        const lastEpoch = epochBefore(scan, from);
        scan.next = from;
        if (!(await readOnce(scan, from, lastEpoch))) return;
        scan.stuck = 0;
        gotOn(scan);
        progressed();
      }
    } finally {
      metrics.scansUnderWay(-1);
      underWay -= 1;
      leave();
    }
  }

  /** @returns whether it got on. */
  async function readOnce(scan: Scan, from: number, lastEpoch: number | undefined): Promise<boolean> {
    try {
      const batch = await topics.fetch(scan.at, from, fetchBytesFor(scan), lastEpoch, emptyFetches);
      if (batch.nextOffset > from) {
        hand(scan, batch, from, lastEpoch);
        return true;
      }
    } catch (error) {
      if (error instanceof LogTruncatedError) {
        fail(scan, rider => rider.next === from && rider.lastEpoch === lastEpoch, 'TRUNCATED');
        return true;
      }
      log.warn(
        { event: 'replay_scan_failed', ...scan.at, offset: from, reason: messageOf(error) },
        'a replay cannot read on',
      );
      if (error instanceof KafkaUnavailableError) {
        silences.note(scan.at);
        return false;
      }
      if (error instanceof UnreadableBatchError) fail(scan, ({ next }) => next <= from, 'UNREADABLE', error);
    }
    if ((scan.stuck += 1) % patience === 0 || scan.stuck === 1) await judge(scan, from);
    return false;
  }

  /** @param from, lastEpoch what was asked for. */
  function hand(scan: Scan, batch: RecordBatch, from: number, lastEpoch: number | undefined): void {
    const byKey = new Map<string, LogRecord[]>();
    for (const { client } of scan.clients) if (client.key !== undefined) byKey.set(client.key, []);
    const all: LogRecord[] = [];
    let readBytes = 0;
    let last = pointAt(batch.nextOffset - 1, -1, batch.lastEpoch);
    for (const item of batch.records) {
      const record = logRecord(item);
      readBytes += record.sizeBytes;
      all.push(record);
      if (record.key !== undefined) byKey.get(record.key)?.push(record);
    }
    const newest = all[all.length - 1];
    if (newest !== undefined && newest.record.offset === last.offset) last = pointOf(newest);
    metrics.scanned(readBytes);
    for (const rider of [...scan.clients]) {
      const { client } = rider;
      if (!isSameTopic(client.mark, batch.topicId)) {
        scan.clients.delete(rider);
        client.failed('TOPIC_RECREATED');
        continue;
      }
      if (rider.next > last.offset) continue; // its stretch comes later
      const before = rider.next === from ? lastEpoch : recordAt(all, rider.next - 1)?.leaderEpoch;
      if (differ(rider.lastEpoch, before)) {
        scan.clients.delete(rider);
        client.failed('TRUNCATED');
        continue;
      }
      const records = client.key === undefined ? all : (byKey.get(client.key) ?? []);
      const first = rider.next;
      rider.next = batch.nextOffset;
      rider.lastEpoch = last.leaderEpoch;
      const difference = client.expected && differenceOf(recordAt(all, client.expected.offset), client.expected);
      if (difference !== undefined) {
        scan.clients.delete(rider);
        client.failed(difference);
        continue;
      }
      const older = records[0] !== undefined && records[0].record.offset < first;
      const fresh = older ? records.filter(({ record }) => record.offset >= first) : records;
      const stays = give(rider, fresh, last, readBytes);
      if (!stays || batch.nextOffset >= client.until) scan.clients.delete(rider);
    }
    scan.next = batch.nextOffset;
  }

  /** One that throws would not be given this batch again: it fails, rather than miss it. */
  function give({ client }: Rider, records: readonly LogRecord[], through: Point, readBytes: number): boolean {
    try {
      return client.scanned(records, through, readBytes);
    } catch (error) {
      log.error({ event: 'replay_consumer_failed', error }, 'the consumer of a replay threw');
      client.failed('SINK_FAILED');
      return false;
    }
  }

  /** Nothing came: is the stretch gone, or is only Kafka away? */
  async function judge(scan: Scan, from: number): Promise<void> {
    try {
      const { topic, partition } = scan.at;
      const count = await topics.partitionCount(topic);
      const gone = count === undefined || partition >= count;
      const bounds = gone ? undefined : (await topics.offsets(topic, [partition])).get(partition);
      if (!gone && bounds === undefined) return;
      const fault = gone ? 'UNKNOWN_TOPIC_OR_PARTITION' : 'OFFSET_OUT_OF_RANGE';
      fail(
        scan,
        ({ next, client }) =>
          next <= from && (bounds === undefined || next < bounds.start || client.until > bounds.end),
        fault,
      );
    } catch (error) {
      log.debug(
        { event: 'log_bounds_unknown', ...scan.at, reason: messageOf(error) },
        'the bounds of the log cannot be had',
      );
      if (error instanceof KafkaUnavailableError) silences.note(scan.at);
    }
  }
}

function fail(scan: Scan, lost: (rider: Rider) => boolean, fault: ScanFault, error?: UnreadableBatchError): void {
  for (const rider of [...scan.clients]) {
    if (!lost(rider)) continue;
    scan.clients.delete(rider);
    rider.client.failed(fault, error);
  }
}

function gotOn({ clients }: Scan): void {
  const nowMs = performance.now();
  for (const rider of clients) rider.progressMs = nowMs;
}

/** One epoch that somebody knows of the record before this offset. */
function epochBefore({ clients }: Scan, from: number): number | undefined {
  for (const { next, lastEpoch } of clients) if (next === from && lastEpoch !== undefined) return lastEpoch;
  return undefined;
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}

function fetchBytesFor({ clients }: Scan): number {
  for (const { client } of clients) if (client.key !== undefined) return ownFetchBytes;
  return fetchBytes;
}

function firstNeeded({ clients }: Scan): number {
  let first = Number.POSITIVE_INFINITY;
  for (const { next } of clients) first = Math.min(first, next);
  return first;
}

/** Whether a scan will soon come by this offset. One that has not begun starts at its smallest. */
function reachable(scan: Scan, from: number): boolean {
  const at = scan.next ?? firstNeeded(scan);
  const distance = from - at;
  return scan.next === undefined ? Math.abs(distance) <= joinWithin : distance >= 0 && distance <= joinWithin;
}
