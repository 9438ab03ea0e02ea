import type { Cluster } from './cluster.ts';
import type { KafkaConnection } from './connection.ts';
import { reportLag } from './lag.ts';
import { backOffMs, Pulse } from './pulse.ts';
import type { DirectReader, ReadFault, RecordSink, TopicPartition } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { type DecodedRecords, decodeRecords } from './wire/record-batch.ts';
import { type FetchedPartition, fetchRequest } from './wire/requests.ts';

export interface ReaderOptions {
  /** Longest time that a fetch waits at the broker for a record, ms. */
  maxWaitMs: number;
  /** Bytes asked for per partition and fetch. */
  partitionBytes: number;
  /** Bytes asked for per fetch; one response per broker is in flight at a time. Default 8 MiB. */
  responseBytes?: number;
}

/** One assigned partition: the position, and how it fares. */
interface Reading extends TopicPartition {
  sink: RecordSink;
  position: number;
  highWatermark: number;
  /** Not to be fetched before, ms since the epoch; after errors. */
  notBefore: number;
  failures: number;
  /** When the topic was first said not to exist, ms since the epoch. */
  missingSince: number | undefined;
  outOfRange: number;
}

/** A broker's fetches: the long poll over all its partitions, and short ones for those assigned meanwhile. */
interface Station {
  nodeId: number;
  /** What the long poll under way asks for, with the offset at which it does. */
  polling: ReadonlyMap<Reading, number> | undefined;
  /** What each short poll under way asks for, by the number of its connection. */
  catchingUp: Map<number, ReadonlyMap<Reading, number>>;
  turn: number;
}

/** A topic said to be unknown may be one that a broker has not heard of yet; after this time it is gone. */
const missingPatienceMs = 3_000;
/** The short poll's wait: a partition assigned during one has to wait for its end. */
const shortWaitMs = 10;
/** Connections for short polls, opened when first needed; the long poll's is 0. */
const shortLanes = [1, 2, 3];

/**
 * Reads assigned partitions by plain fetch requests, without a consumer group. Each broker has one long poll under way
 * over all its partitions; a partition assigned meanwhile is fetched at once on a second connection, until the next
 * long poll covers it. Errors are taken partition by partition: one that is gone, expired or without a leader never holds
 * up another. While Kafka is away it tries on, with a back-off.
 */
export function openReader(connection: KafkaConnection, options: ReaderOptions): DirectReader {
  const { maxWaitMs, partitionBytes, responseBytes = 8 * 1024 * 1024 } = options;
  const { log, metrics } = connection.ops;
  const cluster: Cluster = connection.openCluster('reader');
  const readings = new Map<string, Reading>();
  const stations = new Map<number, Station>();
  const staleTopics = new Set<string>();
  const pulse = new Pulse(pump);
  let refreshing = false;
  let closed = false;
  const stopReporting = reportLag(metrics, () => readings.values());

  function assign(at: TopicPartition, offset: number, sink: RecordSink): void {
    if (closed) throw new Error('the reader is closed');
    readings.set(nameOf(at), {
      topic: at.topic,
      partition: at.partition,
      sink,
      position: offset,
      highWatermark: offset,
      notBefore: 0,
      failures: 0,
      missingSince: undefined,
      outOfRange: 0,
    });
    pulse.soon();
  }

  function unassign(at: TopicPartition): void {
    readings.delete(nameOf(at));
    for (const reading of readings.values()) if (reading.topic === at.topic) return;
    cluster.forget(at.topic);
  }

  /** Starts every fetch that can start. */
  function pump(): void {
    if (closed || cluster.closed) return;
    const now = Date.now();
    const byLeader = new Map<number, Reading[]>();
    for (const reading of readings.values()) {
      if (reading.notBefore > now) {
        pulse.at(reading.notBefore);
        continue;
      }
      const leader = cluster.leaderOf(reading.topic, reading.partition);
      if (leader === undefined) staleTopics.add(reading.topic);
      else {
        const group = byLeader.get(leader);
        if (group === undefined) byLeader.set(leader, [reading]);
        else group.push(reading);
      }
    }
    if (staleTopics.size > 0) void refresh();
    for (const [nodeId, group] of byLeader) {
      const station = stationOf(nodeId);
      if (station.polling === undefined) void longPoll(station, group);
      else {
        const covered = [station.polling, ...station.catchingUp.values()];
        const uncovered = group.filter(reading => !covered.some(asked => asked.has(reading)));
        if (uncovered.length > 0) void shortPoll(station, uncovered);
      }
    }
  }

  function stationOf(nodeId: number): Station {
    const known = stations.get(nodeId);
    if (known !== undefined) return known;
    const station: Station = { nodeId, polling: undefined, catchingUp: new Map(), turn: 0 };
    stations.set(nodeId, station);
    return station;
  }

  async function longPoll(station: Station, group: readonly Reading[]): Promise<void> {
    // The broker fills its answer in the order asked: begin with another partition each time.
    const start = station.turn++ % group.length;
    const rotated = [...group.slice(start), ...group.slice(0, start)];
    station.polling = new Map(rotated.map(reading => [reading, reading.position]));
    await fetch(station.nodeId, 0, station.polling, maxWaitMs);
    station.polling = undefined;
    pulse.soon();
  }

  async function shortPoll(station: Station, group: readonly Reading[]): Promise<void> {
    const lane = shortLanes.find(one => !station.catchingUp.has(one));
    if (lane === undefined) return; // the first to end looks again
    const asked = new Map(group.map(reading => [reading, reading.position]));
    station.catchingUp.set(lane, asked);
    await fetch(station.nodeId, lane, asked, Math.min(shortWaitMs, maxWaitMs));
    station.catchingUp.delete(lane);
    pulse.soon();
  }

  /** Never rejects: what goes wrong is noted at the partitions. */
  async function fetch(
    nodeId: number,
    lane: number,
    asked: ReadonlyMap<Reading, number>,
    waitMs: number,
  ): Promise<void> {
    const missing = new Map([...asked.keys()].map(reading => [nameOf(reading), reading]));
    try {
      const link = await cluster.link(nodeId, lane);
      const targets = [...asked].map(([reading, offset]) => ({
        topic: reading.topic,
        partition: reading.partition,
        offset,
        maxBytes: partitionBytes,
      }));
      const request = fetchRequest(targets, { maxWaitMs: waitMs, minBytes: 1, maxBytes: responseBytes });
      const answer = await link.send(request);
      if (closed) return;
      if (answer.errorCode !== codes.NONE) throw new Error(`fetch: ${nameOfCode(answer.errorCode)}`);
      for (const fetched of answer.partitions) {
        const name = nameOf(fetched);
        const reading = missing.get(name);
        missing.delete(name);
        // Unassigned, moved, or served by the other poll while this one was under way: not ours to deliver.
        if (reading === undefined || readings.get(name) !== reading) continue;
        if (reading.position === asked.get(reading)) take(reading, fetched);
      }
      for (const reading of missing.values()) later(reading, 'the answer does not name the partition');
    } catch (error) {
      if (closed) return;
      log.warn({ error, broker: nodeId }, 'a fetch failed');
      for (const reading of asked.keys()) {
        staleTopics.add(reading.topic);
        later(reading);
      }
    }
  }

  function take(reading: Reading, fetched: FetchedPartition): void {
    if (fetched.errorCode !== codes.NONE) {
      refuse(reading, fetched.errorCode);
      return;
    }
    reading.failures = 0;
    reading.missingSince = undefined;
    reading.outOfRange = 0;
    reading.highWatermark = fetched.highWatermark;
    if (fetched.records.length === 0) return;
    let decoded: DecodedRecords;
    try {
      decoded = decodeRecords(reading, reading.position, fetched.records);
    } catch (error) {
      log.error({ error, topic: reading.topic, partition: reading.partition }, 'a batch cannot be read');
      stop(reading, 'UNREADABLE');
      return;
    }
    const { records, nextOffset } = decoded;
    if (nextOffset === reading.position) {
      // Less than one batch fits partitionBytes; brokers send at least one whole batch since KIP-74, so it is cut off.
      later(reading, 'an incomplete batch');
      return;
    }
    reading.position = nextOffset;
    const { topic, partition, highWatermark } = reading;
    try {
      reading.sink.onBatch({ topic, partition, records, nextOffset, highWatermark });
    } catch (error) {
      log.error({ error, topic, partition }, 'a sink failed; the reader goes on');
    }
  }

  function refuse(reading: Reading, errorCode: number): void {
    if (errorCode === codes.OFFSET_OUT_OF_RANGE) {
      // Once may be a leader that has just been elected and has not caught up with its own past.
      if (++reading.outOfRange >= 2) {
        stop(reading, 'OFFSET_OUT_OF_RANGE');
        return;
      }
    } else if (errorCode === codes.UNSUPPORTED_COMPRESSION_TYPE) {
      stop(reading, 'UNREADABLE');
      return;
    }
    staleTopics.add(reading.topic);
    later(reading, nameOfCode(errorCode));
  }

  function later(reading: Reading, reason?: string): void {
    reading.notBefore = Date.now() + backOffMs(reading.failures++, 20, 1_000);
    if (reason !== undefined && reading.failures > 3) {
      log.warn({ topic: reading.topic, partition: reading.partition, reason }, 'a partition cannot be read for now');
    }
  }

  function stop(reading: Reading, fault: ReadFault): void {
    const { topic, partition, position, sink } = reading;
    unassign(reading);
    log.warn({ topic, partition, offset: position, fault }, 'a partition is not read any more');
    sink.onFault(fault, { topic, partition, offset: position });
  }

  /** Asks who leads the stale topics now; gives those up that have been gone for long enough. */
  async function refresh(): Promise<void> {
    if (refreshing) return;
    refreshing = true;
    const topics = [...staleTopics];
    staleTopics.clear();
    try {
      await cluster.refresh(topics);
      for (const reading of [...readings.values()]) if (topics.includes(reading.topic)) check(reading);
    } catch (error) {
      if (!closed) log.warn({ error }, 'no metadata for now');
      for (const reading of readings.values()) {
        if (!topics.includes(reading.topic)) continue;
        staleTopics.add(reading.topic);
        later(reading);
      }
    } finally {
      refreshing = false;
    }
    pulse.soon();
  }

  function check(reading: Reading): void {
    if (cluster.leaderOf(reading.topic, reading.partition) !== undefined) {
      reading.missingSince = undefined;
      return;
    }
    const topic = cluster.topic(reading.topic);
    const gone =
      topic?.errorCode === codes.UNKNOWN_TOPIC_OR_PARTITION ||
      (topic?.errorCode === codes.NONE && !topic.partitions.some(({ partition }) => partition === reading.partition));
    if (gone) {
      reading.missingSince ??= Date.now();
      if (Date.now() - reading.missingSince >= missingPatienceMs) {
        stop(reading, 'UNKNOWN_TOPIC_OR_PARTITION');
        return;
      }
    }
    later(reading, gone ? 'the topic is unknown' : 'no leader');
  }

  return {
    assign,
    unassign,
    position: at => readings.get(nameOf(at))?.position,
    async close() {
      if (closed) return;
      closed = true;
      pulse.stop();
      readings.clear();
      stopReporting();
      cluster.close();
    },
  };
}

function nameOf({ topic, partition }: TopicPartition): string {
  return `${topic}/${partition}`;
}
