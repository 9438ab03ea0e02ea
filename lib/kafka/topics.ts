import type { Cluster } from './cluster.ts';
import type { KafkaConnection } from './connection.ts';
import {
  BrokerError,
  KafkaUnavailableError,
  LogTruncatedError,
  OffsetOutOfRangeError,
  PartitionCountError,
  ThrottledError,
  TopicRefusedError,
  UnknownTopicError,
  UnreadableBatchError,
} from './errors.ts';
import { isProtocolError } from './link.ts';
import { pastEmpty } from './past-empty.ts';
import type { EpochEnd, RecordBatch, TopicIdentity, TopicPartition, TopicSpec, Topics } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { decodeRecords } from './wire/record-batch.ts';
import {
  earliestTimestamp,
  fetchRequest,
  latestTimestamp,
  listOffsetsRequest,
  noLeaderEpoch,
  noTopicId,
  type OffsetIsolation,
  offsetForLeaderEpochRequest,
  type WireRequest,
} from './wire/requests.ts';

/** Longest time that one call tries, ms. */
const patienceMs = 5_000;
/** Longest time that a read waits behind a quota, ms: it holds a place that others wait for. */
const throttledPatienceMs = 60_000;
const retryMs = 50;
const createTimeoutMs = 30_000;
/** A leader that does not know an epoch may be one that has not heard of its successor; after this time nobody has had it. */
const unknownEpochPatienceMs = 2_000;

/** The leader may have moved. An unknown topic too: only metadata can tell whether it is gone. */
const staleLeader: readonly number[] = [
  codes.UNKNOWN_TOPIC_OR_PARTITION,
  codes.LEADER_NOT_AVAILABLE,
  codes.NOT_LEADER_OR_FOLLOWER,
  codes.NETWORK_EXCEPTION,
  codes.KAFKA_STORAGE_ERROR,
  codes.FENCED_LEADER_EPOCH,
  codes.UNKNOWN_LEADER_EPOCH,
  codes.OFFSET_NOT_AVAILABLE,
  codes.UNKNOWN_TOPIC_ID,
  codes.INCONSISTENT_TOPIC_ID,
];

/** What Kafka answers to a topic that we may not create, or not like this. */
const creationRefused: readonly number[] = [
  codes.INVALID_TOPIC_EXCEPTION,
  codes.TOPIC_AUTHORIZATION_FAILED,
  codes.CLUSTER_AUTHORIZATION_FAILED,
  codes.INVALID_PARTITIONS,
  codes.INVALID_REPLICATION_FACTOR,
  codes.INVALID_CONFIG,
  codes.POLICY_VIOLATION,
];

export interface TopicsOptions {
  /** Whether fetches pass over what an operator has given up. Default true. */
  honourSkips?: boolean;
}

/**
 * Metadata and positions. Each call retries for about 5 s while leaders move, then rejects with
 * `KafkaUnavailableError`; what does not exist is an `UnknownTopicError`.
 */
export function openTopics(
  connection: KafkaConnection,
  { honourSkips = true }: TopicsOptions = {},
): Topics & { close(): Promise<void> } {
  const cluster = connection.openCluster('topics');

  /** Runs until it succeeds, for as long as it fails for want of Kafka; leaders are asked for anew each time. */
  async function withPatience<T>(topic: string | undefined, run: () => Promise<T>): Promise<T> {
    const startedMs = Date.now();
    for (;;) {
      try {
        return await run();
      } catch (error) {
        if (!(error instanceof KafkaUnavailableError) || cluster.closed) throw error;
        const isThrottled = error instanceof ThrottledError;
        if (Date.now() - startedMs >= (isThrottled ? throttledPatienceMs : patienceMs)) throw error;
        if (isThrottled) continue; // the link holds the next request back
        if (topic !== undefined) cluster.doubt(topic);
        await delay(retryMs);
      }
    }
  }

  async function identity(topic: string): Promise<TopicIdentity | undefined> {
    try {
      const { topicId, partitions } = await withPatience(topic, () => cluster.freshTopic(topic));
      return { topicId, partitions: partitions.length };
    } catch (error) {
      if (error instanceof UnknownTopicError) return undefined;
      throw error;
    }
  }

  async function partitionCount(topic: string): Promise<number | undefined> {
    return (await identity(topic))?.partitions;
  }

  /** Asks the leaders of these partitions, each for its own, until every one has answered without an error. */
  async function askLeaders<A extends TopicPartition & { errorCode: number }>(
    topic: string,
    partitions: readonly number[],
    request: (group: readonly number[]) => WireRequest<A[]>,
  ): Promise<Map<number, A>> {
    const found = new Map<number, A>();
    await withPatience(topic, async () => {
      const missing = partitions.filter(partition => !found.has(partition));
      const byLeader = await leaders(cluster, topic, missing);
      let doing = '';
      const answers = await Promise.all(
        [...byLeader].map(async ([nodeId, group]) => {
          const link = await cluster.link(nodeId);
          const asked = request(group);
          doing = asked.apiName;
          return link.send(asked);
        }),
      );
      let failed: A | undefined;
      for (const answer of answers.flat()) {
        if (answer.errorCode === codes.NONE) found.set(answer.partition, answer);
        else failed = answer;
      }
      if (failed !== undefined) throw errorOf(failed, doing);
      const silent = missing.find(partition => !found.has(partition));
      if (silent !== undefined) throw new KafkaUnavailableError(`${doing} did not name ${topic}/${silent}`);
    });
    return found;
  }

  async function listOffsets(
    topic: string,
    partitions: readonly number[],
    timestampMs: number,
    isolation?: OffsetIsolation,
  ): Promise<Map<number, number>> {
    const targets = (group: readonly number[]) => group.map(partition => ({ topic, partition, timestampMs }));
    const answers = await askLeaders(topic, partitions, group => listOffsetsRequest(targets(group), isolation));
    return new Map([...answers].map(([partition, { offset }]) => [partition, offset]));
  }

  async function offsetOf(at: TopicPartition, timestampMs: number): Promise<number> {
    const offsets = await listOffsets(at.topic, [at.partition], timestampMs);
    return offsets.get(at.partition) ?? -1;
  }

  async function fetchOnce(
    at: TopicPartition,
    offset: number,
    maxBytes: number,
    lastEpoch: number | undefined,
  ): Promise<RecordBatch> {
    const nodeId = await leader(cluster, at);
    const link = await cluster.link(nodeId, 1);
    const topicId = cluster.topicIdOf(at.topic) ?? noTopicId;
    const answer = await link.send(
      fetchRequest([{ ...at, topicId, offset, maxBytes, ...(lastEpoch !== undefined && { lastEpoch }) }], {
        ...{ maxWaitMs: 0, minBytes: 0, maxBytes },
      }),
    );
    const fetched = answer.partitions[0];
    if (fetched === undefined) {
      if (answer.throttleTimeMs > 0) throw new ThrottledError(at, answer.throttleTimeMs);
      throw new KafkaUnavailableError(`Fetch did not name ${at.topic}/${at.partition}`);
    }
    if (fetched.errorCode === codes.OFFSET_OUT_OF_RANGE) throw new OffsetOutOfRangeError({ ...at, offset });
    if (fetched.errorCode !== codes.NONE) throw errorOf({ ...at, errorCode: fetched.errorCode }, 'Fetch');
    if (fetched.diverging !== undefined) throw new LogTruncatedError({ ...at, offset }, fetched.diverging);
    const endOffset = fetched.lastStableOffset;
    try {
      return { ...at, topicId, endOffset, ...decodeRecords(at, offset, fetched.records, fetched.aborted) };
    } catch (error) {
      if (!honourSkips || !(error instanceof UnreadableBatchError)) throw error;
      const skip = await connection.skips.over(error, topicId);
      if (skip === undefined) throw error;
      const nextOffset = Math.max(offset, skip.to);
      const epoch = nextOffset === error.to ? error.leaderEpoch : undefined;
      return { ...at, topicId, records: [], nextOffset, endOffset, lastEpoch: epoch };
    }
  }

  async function epochEndOnce(at: TopicPartition, leaderEpoch: number): Promise<EpochEnd | undefined> {
    const { topic, partition } = at;
    const answers = await askLeaders(topic, [partition], () =>
      offsetForLeaderEpochRequest([{ topic, partition, leaderEpoch }]),
    );
    return answers.get(partition);
  }

  /** Returns the epoch of the partition's last election: as a broker tells it now, or as is known where that one is behind. */
  async function electedEpoch({ topic, partition }: TopicPartition): Promise<number> {
    const { partitions } = await withPatience(topic, () => cluster.freshTopic(topic));
    // A broker that does not say it proves nothing.
    const { leaderEpoch = noLeaderEpoch } = partitions.find(one => one.partition === partition) ?? {};
    return leaderEpoch === noLeaderEpoch ? Number.POSITIVE_INFINITY : leaderEpoch;
  }

  /** @param mayCome whether a topic of so many partitions may still become the one that is waited for. */
  async function waitForTopic(
    name: string,
    partitions: number,
    mayCome: (found: number) => boolean = () => false,
  ): Promise<void> {
    const deadline = Date.now() + createTimeoutMs;
    for (;;) {
      const topic = await cluster.freshTopic(name).catch(error => {
        if (error instanceof UnknownTopicError || error instanceof KafkaUnavailableError) return undefined;
        throw error;
      });
      const found = topic?.partitions ?? [];
      const isAll = found.length === partitions;
      if (found.length > 0 && !isAll && !mayCome(found.length)) {
        throw new PartitionCountError(name, found.length, partitions);
      }
      if (isAll && found.every(({ leader }) => leader >= 0)) return;
      if (Date.now() > deadline) throw new KafkaUnavailableError(`topic ${name} was created, but has no leaders yet`);
      await delay(retryMs);
    }
  }

  async function create({ name, partitions, replicationFactor, config }: TopicSpec): Promise<void> {
    const { controllerId } = await cluster.refresh([]);
    const link = await cluster.link(controllerId);
    const configEntries = Object.entries(config ?? {}).map(([key, value]) => ({ name: key, value }));
    const topics = [{ topic: name, numPartitions: partitions, replicationFactor, configEntries }];
    try {
      await link.call(broker => broker.createTopics({ topics, timeout: patienceMs }));
    } catch (error) {
      if (!isProtocolError(error)) throw error;
      if (error.code === codes.TOPIC_ALREADY_EXISTS) return; // another service was faster
      if (error.code === codes.NOT_CONTROLLER || error.code === codes.REQUEST_TIMED_OUT) {
        throw new KafkaUnavailableError(`create topic ${name}: ${error.type}`, error);
      }
      if (creationRefused.includes(error.code)) throw new TopicRefusedError(name, error.type, error);
      throw new Error(`topic ${name} cannot be created: ${error.type}: ${error.message}`, { cause: error });
    }
  }

  return {
    async clusterId() {
      const { clusterId } = await withPatience(undefined, () => cluster.refresh([]));
      return clusterId ?? '';
    },
    identity,
    partitionCount,
    async ensure(specs) {
      for (const spec of specs) {
        const actual = await partitionCount(spec.name);
        if (actual !== undefined && actual !== spec.partitions) {
          throw new PartitionCountError(spec.name, actual, spec.partitions);
        }
        if (actual === undefined) await withPatience(spec.name, () => create(spec));
      }
      for (const { name, partitions } of specs) await waitForTopic(name, partitions);
    },
    async grow(topic, partitions) {
      await withPatience(topic, async () => {
        const { controllerId } = await cluster.refresh([]);
        const link = await cluster.link(controllerId);
        const topicPartitions = [{ topic, count: partitions }];
        await link.call(broker => broker.createPartitions({ topicPartitions, timeout: patienceMs }));
      });
      await waitForTopic(topic, partitions, found => found < partitions);
    },
    startOffset: at => offsetOf(at, earliestTimestamp),
    endOffset: at => offsetOf(at, latestTimestamp),
    async offsets(topic, partitions) {
      const [starts, ends] = await Promise.all([
        listOffsets(topic, partitions, earliestTimestamp),
        listOffsets(topic, partitions, latestTimestamp),
      ]);
      return new Map(
        partitions.map(partition => [partition, { start: starts.get(partition) ?? 0, end: ends.get(partition) ?? 0 }]),
      );
    },
    highWatermarks: (topic, partitions) => listOffsets(topic, partitions, latestTimestamp, 'uncommitted'),
    async epochEnd(at, leaderEpoch) {
      const deadline = Date.now() + unknownEpochPatienceMs;
      for (;;) {
        const found = await epochEndOnce(at, leaderEpoch);
        if (found !== undefined && found.endOffset >= 0) {
          return { leaderEpoch: found.leaderEpoch, endOffset: found.endOffset };
        }
        // The leader knows no epoch that high (LeaderEpochFileCache.endOffsetFor), though a leader knows its own from the start.
        if (Date.now() < deadline) await delay(retryMs);
        else return (await electedEpoch(at)) < leaderEpoch ? { leaderEpoch: noLeaderEpoch, endOffset: 0 } : undefined;
        cluster.doubt(at.topic);
      }
    },
    async offsetAt(at, timestampMs) {
      // Asked for first: what is committed between the two questions lies behind it.
      const end = await offsetOf(at, latestTimestamp);
      const offset = await offsetOf(at, Math.max(0, timestampMs));
      return offset >= 0 ? offset : end;
    },
    fetch(at, offset, maxBytes, lastEpoch, hops = Number.POSITIVE_INFINITY) {
      const fetchFrom = (from: number, epoch: number | undefined) =>
        withPatience(at.topic, () => fetchOnce(at, from, maxBytes, epoch));
      return pastEmpty(fetchFrom, offset, lastEpoch, hops);
    },
    async close() {
      cluster.close();
    },
  };
}

async function leader(cluster: Cluster, at: TopicPartition): Promise<number> {
  const known = cluster.leaderOf(at.topic, at.partition);
  if (known !== undefined) return known;
  const byLeader = await leaders(cluster, at.topic, [at.partition]);
  const [nodeId] = byLeader.keys();
  if (nodeId === undefined) throw new KafkaUnavailableError(`${at.topic}/${at.partition} has no leader`);
  return nodeId;
}

async function leaders(cluster: Cluster, topic: string, partitions: readonly number[]): Promise<Map<number, number[]>> {
  const known = partitions.every(partition => cluster.leaderOf(topic, partition) !== undefined);
  const metadata = known ? cluster.topic(topic) : await cluster.freshTopic(topic);
  const byLeader = new Map<number, number[]>();
  for (const partition of partitions) {
    const found = metadata?.partitions.find(candidate => candidate.partition === partition);
    if (found === undefined) throw new UnknownTopicError(topic, partition);
    if (found.leader < 0) throw new KafkaUnavailableError(`${topic}/${partition} has no leader`);
    byLeader.set(found.leader, [...(byLeader.get(found.leader) ?? []), partition]);
  }
  return byLeader;
}

function errorOf(answer: TopicPartition & { errorCode: number }, doing: string): Error {
  const { topic, partition, errorCode } = answer;
  const name = nameOfCode(errorCode);
  if (staleLeader.includes(errorCode)) return new KafkaUnavailableError(`${doing} ${topic}/${partition}: ${name}`);
  return new BrokerError(errorCode, name, `${doing} ${topic}/${partition}`);
}

function delay(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}
