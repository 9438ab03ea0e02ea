import type { KafkaConnection } from './connection.ts';
import { ProduceError, TooLargeError } from './errors.ts';
import { type Batch, Lane, type Passenger, type Producer } from './lane.ts';
import { isTooLarge, judge } from './lane-verdict.ts';
import type { Lanes, OutgoingRecord, TopicPartition } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { batchOverheadBytes, sizeOf } from './wire/record-batch.ts';
import { initProducerIdRequest, produceRequest } from './wire/requests.ts';

export interface LaneOptions {
  /** Bytes of records buffered or in flight, over all lanes, before `send` waits. */
  bufferBytes: number;
  /** Largest batch that is put together, bytes. Default 900,000, below the brokers' default of 1,048,588. */
  batchBytes?: number;
  /** A record that needs a larger batch than this is refused at once. Default 1,048,588 (message.max.bytes). */
  maxBatchBytes?: number;
  /** From `send` until the record is given up, ms. Default 30,000. */
  deliveryTimeoutMs?: number;
}

/** How long a leader may wait for its replicas, ms. */
const ackTimeoutMs = 5_000;
/** Most bytes of batches in one request; more partitions go with the next. */
const requestBytes = 8 * 1024 * 1024;
/** Requests under way to one broker, each on a connection of its own (a broker serves a connection one by one). */
const requestsPerBroker = 2;
const backOffMs = { first: 20, most: 1_000 };

/**
 * Lanes as docs/architecture.md draws them: a partition has one batch under way, and its next one fills meanwhile. What is
 * ready for one broker shares a request, whose answer is taken partition by partition. kafkajs's producer is not used:
 * it retries a request over several partitions for only some of them and resolves, and it serialises requests per broker.
 *
 * Repeated attempts carry the producer id and sequence of the first (KIP-98), so a broker drops what it has. A record
 * that is given up takes along those that wait behind it with the same key, so that a key's records never skip one.
 */
export function openLanes(connection: KafkaConnection, options: LaneOptions): Lanes {
  const { bufferBytes, batchBytes = 900_000, maxBatchBytes = 1_048_588, deliveryTimeoutMs = 30_000 } = options;
  const { log } = connection.ops;
  const cluster = connection.openCluster('lanes');
  const lanes = new Map<string, Lane>();
  /** Lanes that have something to send and no request under way. */
  const ready = new Set<Lane>();
  const waiting: { lane: Lane; passenger: Passenger }[] = [];
  const busyLinks = new Map<number, Set<number>>();
  const staleTopics = new Set<string>();
  let bufferedBytes = 0;
  let producer: Producer | undefined;
  let preparing = false;
  let pumpScheduled = false;
  let timer: { at: number; handle: NodeJS.Timeout } | undefined;
  let closing: Promise<void> | undefined;
  let drained: (() => void) | undefined;

  function send(at: TopicPartition, record: OutgoingRecord): Promise<{ offset: number }> {
    const sizeBytes = sizeOf(record);
    if (batchOverheadBytes + sizeBytes > maxBatchBytes) {
      return Promise.reject(new TooLargeError(at, sizeBytes, maxBatchBytes - batchOverheadBytes));
    }
    if (closing !== undefined) return Promise.reject(new ProduceError('the lanes are closing', 'not-written'));
    const now = Date.now();
    return new Promise((resolve, reject) => {
      const deadline = now + deliveryTimeoutMs;
      const passenger: Passenger = { record, timestampMs: now, sizeBytes, deadline, resolve, reject };
      waiting.push({ lane: laneOf(at), passenger });
      admit();
    });
  }

  function laneOf({ topic, partition }: TopicPartition): Lane {
    const name = `${topic}/${partition}`;
    const known = lanes.get(name);
    if (known !== undefined) return known;
    const lane = new Lane({ topic, partition }, batchBytes);
    lanes.set(name, lane);
    return lane;
  }

  /** Lets waiting records in, first come first served, while the budget lasts; a single one always fits. */
  function admit(): void {
    let admitted = 0;
    for (const { lane, passenger } of waiting) {
      if (bufferedBytes > 0 && bufferedBytes + passenger.sizeBytes > bufferBytes) break;
      bufferedBytes += passenger.sizeBytes;
      lane.push(passenger);
      if (lane.batch === undefined) ready.add(lane);
      admitted++;
    }
    if (admitted === 0) return;
    waiting.splice(0, admitted);
    schedule();
  }

  /** After the caller's synchronous burst, so that it leaves as one batch. */
  function schedule(): void {
    if (pumpScheduled) return;
    pumpScheduled = true;
    queueMicrotask(() => {
      pumpScheduled = false;
      pump();
    });
  }

  function scheduleAt(at: number): void {
    if (timer !== undefined && timer.at <= at) return;
    clearTimeout(timer?.handle);
    const handle = setTimeout(
      () => {
        timer = undefined;
        pump();
      },
      Math.max(1, at - Date.now()),
    );
    timer = { at, handle };
  }

  function pump(): void {
    if (ready.size === 0) return;
    const now = Date.now();
    const byBroker = new Map<number, Lane[]>();
    let lacking = staleTopics.size > 0;
    let due = 0;
    for (const lane of ready) {
      expire(lane, now);
      if (lane.idle) {
        ready.delete(lane);
        continue;
      }
      if (lane.notBefore > now) {
        scheduleAt(lane.notBefore);
        continue;
      }
      due++;
      const leader = cluster.leaderOf(lane.at.topic, lane.at.partition);
      if (leader === undefined) {
        staleTopics.add(lane.at.topic);
        lacking = true;
        continue;
      }
      const group = byBroker.get(leader);
      if (group === undefined) byBroker.set(leader, [lane]);
      else group.push(lane);
    }
    if (due > 0 && (lacking || producer === undefined)) void prepare();
    if (producer !== undefined) for (const [nodeId, group] of byBroker) dispatch(nodeId, group, producer);
    makeRoom();
  }

  /** Gets what sending lacks: leaders, a producer id. One attempt at a time; the lanes wait in `ready`. */
  async function prepare(): Promise<void> {
    if (preparing) return;
    preparing = true;
    try {
      const topics = [...staleTopics];
      if (topics.length > 0) {
        await cluster.refresh(topics);
        staleTopics.clear();
        for (const lane of ready) {
          if (topics.includes(lane.at.topic) && cluster.leaderOf(lane.at.topic, lane.at.partition) === undefined) {
            later(lane);
          }
        }
      }
      producer ??= await newProducer();
    } catch (error) {
      log.warn({ error }, 'cannot produce for now');
      for (const lane of ready) later(lane);
    } finally {
      preparing = false;
    }
    schedule();
  }

  async function newProducer(): Promise<Producer> {
    const link = await cluster.anyLink();
    const { errorCode, producerId, producerEpoch } = await link.send(initProducerIdRequest());
    if (errorCode !== codes.NONE) throw new Error(`no producer id: ${nameOfCode(errorCode)}`);
    return { producerId, producerEpoch };
  }

  function dispatch(nodeId: number, group: readonly Lane[], current: Producer): void {
    const busy = busyLinks.get(nodeId) ?? new Set<number>();
    busyLinks.set(nodeId, busy);
    let next = 0;
    for (let link = 0; link < requestsPerBroker && next < group.length; link++) {
      if (busy.has(link)) continue;
      const loads: { lane: Lane; batch: Batch }[] = [];
      let sizeBytes = 0;
      for (; next < group.length && sizeBytes < requestBytes; next++) {
        const lane = group[next];
        const batch = lane?.load(current);
        if (lane === undefined || batch === undefined) continue;
        ready.delete(lane);
        loads.push({ lane, batch });
        sizeBytes += batch.bytes.length;
      }
      if (loads.length === 0) return;
      busy.add(link);
      void transfer(nodeId, link, loads).finally(() => {
        busy.delete(link);
        schedule();
      });
    }
  }

  async function transfer(nodeId: number, lane: number, loads: readonly { lane: Lane; batch: Batch }[]): Promise<void> {
    let sent = false;
    try {
      const link = await cluster.link(nodeId, lane);
      const targets = loads.map(load => ({ ...load.lane.at, batch: load.batch.bytes }));
      sent = true;
      const answers = await link.send(produceRequest(targets, ackTimeoutMs));
      const byName = new Map(answers.map(answer => [`${answer.topic}/${answer.partition}`, answer]));
      for (const load of loads) {
        const answer = byName.get(`${load.lane.at.topic}/${load.lane.at.partition}`);
        if (answer === undefined) retry(load.lane, true, 'the answer does not name the partition');
        else settle(load.lane, load.batch, answer.errorCode, answer.baseOffset);
      }
    } catch (error) {
      for (const load of loads) {
        staleTopics.add(load.lane.at.topic);
        retry(load.lane, sent, error);
      }
    }
    for (const { lane: one } of loads) if (!one.idle) ready.add(one);
    makeRoom();
  }

  /** After records have left, however they did. */
  function makeRoom(): void {
    admit();
    if (bufferedBytes === 0 && waiting.length === 0) drained?.();
  }

  function settle(lane: Lane, batch: Batch, errorCode: number, baseOffset: number): void {
    const reason = nameOfCode(errorCode);
    const verdict = judge(errorCode);
    if (verdict === 'written') {
      lane.written();
      batch.passengers.forEach((passenger, index) => {
        release(passenger);
        passenger.resolve({ offset: baseOffset + index });
      });
      return;
    }
    log.warn(
      { topic: lane.at.topic, partition: lane.at.partition, reason, records: batch.passengers.length },
      'not acknowledged',
    );
    switch (verdict) {
      case 'written-somewhere':
        lane.written();
        for (const passenger of batch.passengers) fail(passenger, new ProduceError(`written: ${reason}`, 'unknown'));
        return;
      case 'split':
        if (!lane.split()) {
          const [single] = batch.passengers;
          const sizeBytes = single?.sizeBytes ?? 0;
          abandon(lane, () =>
            isTooLarge(errorCode)
              ? new TooLargeError(lane.at, sizeBytes, undefined)
              : new ProduceError(`refused: ${reason}`, 'not-written'),
          );
        }
        return;
      case 'new-producer':
        if (producer?.producerId === batch.stamp.producerId) producer = undefined;
        lane.restamp();
        later(lane);
        return;
      case 'refused':
        abandon(lane, outcome => new ProduceError(`refused: ${reason}`, outcome));
        return;
      case 'moved':
        staleTopics.add(lane.at.topic);
        retry(lane, false, reason);
        return;
      default:
        retry(lane, verdict === 'again-unsure', reason);
    }
  }

  function retry(lane: Lane, unsure: boolean, reason: unknown): void {
    const { batch } = lane;
    if (batch === undefined) return;
    if (unsure) batch.unsure = true;
    const deadline = batch.passengers[0]?.deadline ?? 0;
    if (Date.now() >= deadline) abandon(lane, outcome => timedOut(outcome, reason));
    else later(lane);
  }

  function timedOut(outcome: 'not-written' | 'unknown', reason?: unknown): ProduceError {
    return new ProduceError(`not acknowledged within ${deliveryTimeoutMs} ms`, outcome, reason);
  }

  function later(lane: Lane): void {
    const most = Math.min(backOffMs.most, backOffMs.first * 2 ** lane.failures++);
    lane.notBefore = Date.now() + most * (0.5 + Math.random() / 2);
  }

  /** What waited too long without ever having been sent. */
  function expire(lane: Lane, now: number): void {
    if (lane.batch !== undefined) {
      if (now >= (lane.batch.passengers[0]?.deadline ?? 0)) abandon(lane, outcome => timedOut(outcome));
      return;
    }
    for (const passenger of lane.remove(one => now >= one.deadline)) fail(passenger, timedOut('not-written'));
  }

  function abandon(lane: Lane, because: (outcome: 'not-written' | 'unknown') => Error): void {
    const { batch } = lane;
    const { passengers, restart } = lane.giveUp();
    if (restart && producer?.producerId === batch?.stamp.producerId) producer = undefined;
    const error = because(restart ? 'unknown' : 'not-written');
    const keys = new Set(passengers.map(keyOf));
    for (const passenger of passengers) fail(passenger, error);
    const behind = new ProduceError('a record of the same key before it was given up', 'not-written', error);
    for (const passenger of lane.remove(one => keys.has(keyOf(one)))) fail(passenger, behind);
    for (let i = waiting.length - 1; i >= 0; i--) {
      const one = waiting[i];
      if (one?.lane !== lane || !keys.has(keyOf(one.passenger))) continue;
      waiting.splice(i, 1);
      one.passenger.reject(behind);
    }
  }

  function fail(passenger: Passenger, error: Error): void {
    release(passenger);
    passenger.reject(error);
  }

  function release(passenger: Passenger): void {
    bufferedBytes -= passenger.sizeBytes;
  }

  return {
    send,
    close() {
      closing ??= (async () => {
        if (bufferedBytes > 0 || waiting.length > 0) {
          await new Promise<void>(resolve => {
            drained = resolve;
          });
        }
        clearTimeout(timer?.handle);
        cluster.close();
      })();
      return closing;
    },
  };
}

/** Null keys count as one: nobody can tell whether their order matters. */
function keyOf({ record: { key } }: Passenger): string | null {
  return typeof key === 'string' || key === null ? key : key.toString('utf8');
}
