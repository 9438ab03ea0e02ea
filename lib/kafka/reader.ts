import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Cluster } from './cluster.ts';
import type { KafkaConnection } from './connection.ts';
import { reportLag } from './lag.ts';
import { watchTransactions } from './open-transactions.ts';
import { backOffMs, Pulse } from './pulse.ts';
import { nameOf, type Outcome, Reading } from './reading.ts';
import type { DirectReader, RecordSink, TopicPartition } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { type FetchedPartition, fetchRequest, noTopicId } from './wire/requests.ts';

export interface ReaderOptions {
  /** Longest time that a fetch waits at the broker for a record, ms. */
  maxWaitMs: number;
  /** Bytes asked for per partition and fetch. */
  partitionBytes: number;
  /**
   * Bytes asked for per fetch. A broker has one long poll under way and, while partitions are being assigned, up to three
   * short ones. Default 8 MiB.
   */
  responseBytes?: number;
  /**
   * For a reader that would rather have many records at once than each at once: least time between two answers of a
   * broker, ms. The first record after a silence is not held up. Default 0.
   */
  paceMs?: number;
  /** How long a transaction may keep a partition's committed end from moving before that is logged, ms. Default 60,000. */
  openTransactionMs?: number;
}

/** What a fetch asks for, and at which offset. */
type Asked = ReadonlyMap<Reading, number>;

/** A broker's fetches: the long poll over all its partitions, and short ones for those assigned meanwhile. */
interface Station {
  nodeId: number;
  polling: Asked | undefined;
  /** By the number of its connection. */
  catchingUp: Map<number, Asked>;
  turn: number;
  failures: number;
  /** The long poll is not to begin before, ms since the epoch. */
  notBefore: number;
}

/** The short poll's wait: how long a partition's second place in a fetch goes unused. */
const shortWaitMs = 10;
/** Connections for short polls, opened when first needed; the long poll's is 0. */
const shortLanes = [1, 2, 3];
/** Longest time that a large answer keeps the event loop before others have a turn, to within a partition's share. */
const sliceMs = 5;

/**
 * Reads assigned partitions by plain fetch requests, without a consumer group. Each broker has one long poll under way
 * over all its partitions; a partition assigned meanwhile is fetched at once on another connection, until the next long
 * poll covers it. Errors are taken partition by partition: one that is gone, expired or without a leader never holds up
 * another. While Kafka is away it tries on, with a back-off.
 */
export function openReader(connection: KafkaConnection, options: ReaderOptions): DirectReader {
  const { maxWaitMs, partitionBytes, responseBytes = 8 * 1024 * 1024, paceMs = 0 } = options;
  const { openTransactionMs = 60_000 } = options;
  const { log, metrics } = connection.ops;
  const cluster: Cluster = connection.openCluster('reader');
  const readings = new Map<string, Reading>();
  const stations = new Map<number, Station>();
  /** Topics whose leaders have to be asked for. */
  const staleTopics = new Set<string>();
  const refresh = { underWay: false, notBefore: 0, failures: 0 };
  const pulse = new Pulse(pump);
  let closed = false;
  const stopReporting = reportLag(metrics, () => readings.values());

  function assign(at: TopicPartition, offset: number, sink: RecordSink, topicId?: string, lastEpoch?: number): void {
    if (closed) throw new Error('the reader is closed');
    readings.set(nameOf(at), new Reading(at, offset, sink, topicId, lastEpoch));
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
    const now = performance.now();
    const byLeader = new Map<number, Reading[]>();
    for (const reading of readings.values()) {
      if (reading.paused || reading.asking) continue;
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
    if (staleTopics.size > 0) void askLeaders(now);
    for (const [nodeId, group] of byLeader) {
      const station = stationOf(nodeId);
      if (station.polling === undefined && station.notBefore > now) pulse.at(station.notBefore);
      else if (station.polling === undefined) void longPoll(station, group);
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
    const station: Station = { nodeId, polling: undefined, catchingUp: new Map(), turn: 0, failures: 0, notBefore: 0 };
    stations.set(nodeId, station);
    return station;
  }

  async function longPoll(station: Station, group: readonly Reading[]): Promise<void> {
    // The broker fills its answer in the order asked: begin with another partition each time.
    const start = station.turn++ % group.length;
    const rotated = [...group.slice(start), ...group.slice(0, start)];
    station.polling = new Map(rotated.map(reading => [reading, reading.position]));
    await fetch(station, 0, station.polling, maxWaitMs);
    station.polling = undefined;
    station.notBefore = performance.now() + paceMs;
    pulse.soon();
  }

  async function shortPoll(station: Station, group: readonly Reading[]): Promise<void> {
    const lane = shortLanes.find(one => !station.catchingUp.has(one));
    if (lane === undefined) return; // the first to end looks again
    const asked = new Map(group.map(reading => [reading, reading.position]));
    station.catchingUp.set(lane, asked);
    await fetch(station, lane, asked, Math.min(shortWaitMs, maxWaitMs));
    station.catchingUp.delete(lane);
    pulse.soon();
  }

  /** Never rejects: what goes wrong is noted at the partitions. */
  async function fetch(station: Station, lane: number, asked: Asked, waitMs: number): Promise<void> {
    try {
      const link = await cluster.link(station.nodeId, lane);
      const targets = [...asked].map(([reading, offset]) => {
        const { topic, partition, lastEpoch } = reading;
        const topicId = (reading.topicId ??= cluster.topicIdOf(topic)) ?? noTopicId;
        return {
          topic,
          topicId,
          partition,
          offset,
          maxBytes: partitionBytes,
          ...(lastEpoch !== undefined && { lastEpoch }),
        };
      });
      const request = fetchRequest(targets, { maxWaitMs: waitMs, minBytes: 1, maxBytes: responseBytes });
      const answer = await link.send(request);
      if (answer.errorCode !== codes.NONE) throw new Error(`fetch: ${nameOfCode(answer.errorCode)}`);
      station.failures = 0;
      await handOut(asked, answer.partitions);
    } catch (error) {
      if (closed) return;
      log.warn({ event: 'fetch_failed', error, broker: station.nodeId }, 'a fetch failed');
      // All of them at the same time again, so that a broker that is away is not asked for each.
      const notBefore = performance.now() + backOffMs(station.failures++, 20, 1_000);
      for (const reading of asked.keys()) {
        staleTopics.add(reading.topic);
        reading.notBefore = notBefore;
      }
    }
  }

  async function handOut(asked: Asked, partitions: readonly FetchedPartition[]): Promise<void> {
    const silent = new Map([...asked.keys()].map(reading => [reading.name, reading]));
    let since = performance.now();
    for (const fetched of partitions) {
      if (performance.now() - since > sliceMs) {
        await nextTurn();
        since = performance.now();
      }
      if (closed) return;
      const name = nameOf(fetched);
      const reading = silent.get(name);
      silent.delete(name);
      // Unassigned, moved, or served by another poll while this one was under way: not ours to deliver.
      if (reading === undefined || readings.get(name) !== reading || reading.paused || reading.asking) continue;
      if (reading.position !== asked.get(reading)) continue;
      follow(reading, reading.take(fetched));
      watchTransactions(reading, log, openTransactionMs);
    }
    for (const reading of silent.values()) {
      follow(reading, { kind: 'again', reason: 'the answer does not name it', stale: true });
    }
  }

  function follow(reading: Reading, outcome: Outcome): void {
    const { topic, partition, sink, position } = reading;
    switch (outcome.kind) {
      case 'nothing new':
        return;
      case 'batch':
        try {
          sink.onBatch(outcome.batch);
          reading.taken();
        } catch (error) {
          log.error(
            { event: 'batch_sink_failed', error, topic, partition, offset: outcome.from },
            'a sink did not take a batch',
          );
          // It may have moved its partition, or dropped it, before it threw.
          if (readings.get(reading.name) === reading) follow(reading, reading.notTaken(outcome.from, error));
        }
        return;
      case 'unreadable':
        reading.asking = true;
        void passOver(reading, outcome);
        return;
      case 'again': {
        if (outcome.stale) staleTopics.add(topic);
        // The first failures are everyday: a leader has moved, or does not know yet that it leads.
        const line = { topic, partition, reason: outcome.reason };
        const failures = reading.postpone(performance.now());
        if (failures > 4) log.warn({ event: 'partition_unreadable', ...line }, 'a partition cannot be read for now');
        else log.debug({ event: 'partition_read_postponed', ...line }, 'a partition cannot be read for now');
        return;
      }
      case 'fault':
        unassign(reading);
        log.warn(
          {
            event: 'partition_reading_ended',
            topic,
            partition,
            offset: position,
            fault: outcome.fault,
            reason: outcome.reason,
          },
          'a partition is not read any more',
        );
        sink.onFault(outcome.fault, { topic, partition, offset: position, ...outcome.cut }, outcome.error);
    }
  }

  /** Goes on behind a batch that nobody can read where an operator has recorded so; else that is a fault. */
  async function passOver(reading: Reading, { error, behind }: Outcome & { kind: 'unreadable' }): Promise<void> {
    const skip = await connection.skips.over(error, reading.topicId ?? noTopicId);
    reading.asking = false;
    if (closed || readings.get(reading.name) !== reading) return;
    if (skip !== undefined) follow(reading, behind(skip));
    else follow(reading, { kind: 'fault', fault: 'UNREADABLE', reason: error.message, error });
    pulse.soon();
  }

  /** Asks who leads the stale topics now; those that have been gone for long enough are given up. */
  async function askLeaders(now: number): Promise<void> {
    if (refresh.underWay) return;
    if (refresh.notBefore > now) return pulse.at(refresh.notBefore);
    refresh.underWay = true;
    const topics = new Set(staleTopics);
    staleTopics.clear();
    try {
      await cluster.refresh([...topics]);
      refresh.failures = 0;
      for (const reading of [...readings.values()]) {
        const { topic, partition, topicId } = reading;
        if (!topics.has(topic)) continue;
        const isThere = cluster.leaderOf(topic, partition) !== undefined;
        if (!isThere) follow(reading, reading.leaderless(cluster.topic(topic), performance.now()));
        else if (topicId !== undefined && cluster.topicIdOf(topic) !== topicId) {
          follow(reading, reading.replaced(performance.now()));
        }
      }
    } catch (error) {
      if (!closed) log.warn({ event: 'metadata_unavailable', error }, 'no metadata for now');
      for (const topic of topics) staleTopics.add(topic);
      refresh.notBefore = performance.now() + backOffMs(refresh.failures++, 20, 1_000);
    } finally {
      refresh.underWay = false;
    }
    pulse.soon();
  }

  function pause(at: TopicPartition): void {
    const reading = readings.get(nameOf(at));
    if (reading !== undefined) reading.paused = true;
  }

  function resume(at: TopicPartition): void {
    const reading = readings.get(nameOf(at));
    if (reading === undefined || !reading.paused) return;
    reading.paused = false;
    pulse.soon();
  }

  return {
    assign,
    unassign,
    pause,
    resume,
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
