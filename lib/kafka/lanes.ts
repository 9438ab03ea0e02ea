import { Budget } from './budget.ts';
import type { KafkaConnection } from './connection.ts';
import { ProduceError, TooLargeError } from './errors.ts';
import { type Batch, Lane, type Passenger, type Producer } from './lane.ts';
import { isTooLarge, judge } from './lane-verdict.ts';
import { backOffMs, Pulse } from './pulse.ts';
import type { Lanes, OutgoingRecord, TopicPartition } from './types.ts';
import { codes, nameOfCode } from './wire/error-codes.ts';
import { batchOverheadBytes, sizeOf } from './wire/record-batch.ts';
import { initProducerIdRequest, type ProducedPartition, produceRequest } from './wire/requests.ts';

export interface LaneOptions {
  /** Bytes of records buffered or in flight, over all lanes, before `send` waits. */
  bufferBytes: number;
  /** Largest batch that is put together, bytes. Default 900,000, below the brokers' default of 1,048,588. */
  batchBytes?: number;
  /** A record that needs a larger batch than this is refused at once. Default 1,048,588 (message.max.bytes). */
  maxBatchBytes?: number;
  /** From `send` until the record is given up, ms. Default 30,000. */
  deliveryTimeoutMs?: number;
  /**
   * Least time between two requests to a broker, ms: under load they are fewer and larger. The first record after a
   * silence is not held up. Default 0.
   */
  paceMs?: number;
  /** Asked before each request; while it says no, everything waits. Default: always. */
  maySend?(): boolean;
}

/** How often it is asked whether sending is allowed again, ms. */
const askAgainMs = 50;

/** How long a leader may wait for its replicas, ms. */
const ackTimeoutMs = 3_000;
/** Most bytes of batches in one request; more partitions go with the next. */
const requestBytes = 8 * 1024 * 1024;
/** Requests under way to one broker, each on a connection of its own (a broker serves a connection one by one). */
const requestsPerBroker = 2;

interface Load {
  lane: Lane;
  batch: Batch;
}

type Because = (outcome: 'not-written' | 'unknown') => Error;

/**
 * Lanes as docs/architecture.md draws them: a partition has one batch under way, and its next one fills meanwhile. What
 * is ready for one broker shares a request, whose answer is taken partition by partition. kafkajs's producer is not
 * used: it retries a request over several partitions for only some of them and resolves, and lets only one request at a
 * time go to a broker.
 *
 * Repeated attempts carry the producer id and sequence of the first (KIP-98), so a broker drops what it has. A record
 * that is given up takes along those that wait behind it with the same key, so that a key's records never skip one.
 */
export function openLanes(connection: KafkaConnection, options: LaneOptions): Lanes {
  const {
    bufferBytes,
    batchBytes = 900_000,
    maxBatchBytes = 1_048_588,
    deliveryTimeoutMs = 30_000,
    paceMs = 0,
    maySend = () => true,
  } = options;
  const { log } = connection.ops;
  const cluster = connection.openCluster('lanes');
  const lanes = new Map<string, Lane>();
  /** Lanes that have something to send and no request under way. */
  const ready = new Set<Lane>();
  const busyLinks = new Map<number, Set<number>>();
  /** By broker, ms since the epoch. */
  const nextRequest = new Map<number, number>();
  const staleTopics = new Set<string>();
  const watched = new WeakSet<AbortSignal>();
  const pulse = new Pulse(pump);
  const buffer = new Budget<Passenger>(bufferBytes, passenger => {
    passenger.lane.push(passenger);
    if (passenger.lane.batch === undefined) ready.add(passenger.lane);
    pulse.soon();
  });
  let producer: Producer | undefined;
  let preparing = false;
  let closing: Promise<void> | undefined;
  let drained: (() => void) | undefined;

  function send(at: TopicPartition, record: OutgoingRecord, signal?: AbortSignal): Promise<{ offset: number }> {
    const sizeBytes = sizeOf(record);
    if (batchOverheadBytes + sizeBytes > maxBatchBytes) {
      return Promise.reject(new TooLargeError(at, sizeBytes, maxBatchBytes - batchOverheadBytes));
    }
    if (closing !== undefined) return Promise.reject(new ProduceError('the lanes are closing', 'not-written'));
    if (signal?.aborted === true) return Promise.reject(withdrawn('not-written'));
    if (signal !== undefined && !watched.has(signal)) {
      watched.add(signal);
      signal.addEventListener('abort', withdraw, { once: true });
    }
    const lane = laneOf(at);
    const deadline = performance.now() + deliveryTimeoutMs;
    return new Promise((resolve, reject) => {
      buffer.add({ lane, record, timestampMs: Date.now(), sizeBytes, deadline, signal, resolve, reject });
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

  /** Sends what can be sent now, and gets what sending lacks. */
  function pump(): void {
    const now = performance.now();
    const byBroker = new Map<number, Lane[]>();
    let due = 0;
    for (const lane of ready) {
      expire(lane, now);
      if (lane.idle) ready.delete(lane);
      else if (lane.notBefore > now) pulse.at(lane.notBefore);
      else {
        due++;
        const leader = cluster.leaderOf(lane.at.topic, lane.at.partition);
        if (leader === undefined) staleTopics.add(lane.at.topic);
        else byBroker.set(leader, [...(byBroker.get(leader) ?? []), lane]);
      }
    }
    const allowed = due === 0 || maySend();
    if (!allowed) pulse.at(now + askAgainMs);
    if (due > 0 && (staleTopics.size > 0 || producer === undefined)) void prepare();
    if (producer !== undefined && allowed)
      for (const [nodeId, group] of byBroker) {
        const earliest = nextRequest.get(nodeId) ?? 0;
        if (earliest > now) pulse.at(earliest);
        else dispatch(nodeId, group, producer);
      }
    makeRoom();
  }

  /** Leaders, a producer id. One attempt at a time; the lanes wait in `ready`. */
  async function prepare(): Promise<void> {
    if (preparing) return;
    preparing = true;
    const topics = [...staleTopics];
    staleTopics.clear();
    try {
      if (topics.length > 0) await cluster.refresh(topics);
      producer ??= await newProducer();
      for (const { at } of ready) {
        if (topics.includes(at.topic) && cluster.leaderOf(at.topic, at.partition) === undefined) later(laneOf(at));
      }
    } catch (error) {
      log.warn({ event: 'produce_postponed', error }, 'cannot produce for now');
      for (const topic of topics) staleTopics.add(topic);
      for (const lane of ready) later(lane);
    } finally {
      preparing = false;
    }
    pulse.soon();
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
      const loads: Load[] = [];
      for (let sizeBytes = 0; next < group.length && sizeBytes < requestBytes; next++) {
        const lane = group[next];
        const batch = lane?.load(current);
        if (lane === undefined || batch === undefined) continue;
        ready.delete(lane);
        loads.push({ lane, batch });
        sizeBytes += batch.bytes.length;
      }
      busy.add(link);
      nextRequest.set(nodeId, performance.now() + paceMs);
      void transfer(nodeId, link, loads).finally(() => {
        busy.delete(link);
        for (const { lane, batch } of loads) {
          if (!lane.idle) ready.add(lane);
          if (batch.passengers.some(isWithdrawn)) withdrawFrom(lane);
        }
        makeRoom();
        pulse.soon();
      });
    }
  }

  /** Never rejects: what goes wrong is noted at the lanes. */
  async function transfer(nodeId: number, linkNumber: number, loads: readonly Load[]): Promise<void> {
    let sent = false;
    let answers: ProducedPartition[];
    try {
      const link = await cluster.link(nodeId, linkNumber);
      if (!maySend()) throw new Error('sending is not allowed just now');
      sent = true;
      answers = await link.send(
        produceRequest(
          loads.map(({ lane, batch }) => ({ ...lane.at, batch: batch.bytes })),
          ackTimeoutMs,
        ),
      );
    } catch (error) {
      // All of them at the same time again, so that a broker that is away is not asked for each.
      const failures = loads.reduce((most, { lane }) => Math.max(most, lane.failures), 0);
      const notBefore = performance.now() + backOffMs(failures, 20, 1_000);
      for (const { lane } of loads) {
        staleTopics.add(lane.at.topic);
        lane.failures = failures;
        retry(lane, sent, error);
        lane.notBefore = lane.batch === undefined ? 0 : notBefore;
      }
      return;
    }
    const byName = new Map(answers.map(answer => [`${answer.topic}/${answer.partition}`, answer]));
    for (const { lane, batch } of loads) {
      const answer = byName.get(`${lane.at.topic}/${lane.at.partition}`);
      if (answer === undefined) retry(lane, true, 'the answer does not name the partition');
      else settle(lane, batch, answer);
    }
  }

  function settle(lane: Lane, batch: Batch, { errorCode, baseOffset }: ProducedPartition): void {
    const verdict = judge(errorCode);
    if (verdict === 'written') {
      lane.written();
      batch.passengers.forEach((passenger, index) => {
        buffer.release(passenger);
        passenger.resolve({ offset: baseOffset + index });
      });
      return;
    }
    const reason = nameOfCode(errorCode);
    // The first refusals are everyday: a leader has moved, or does not know yet that it leads.
    const line = { ...lane.at, reason, records: batch.passengers.length };
    if (lane.failures < 3) log.debug({ event: 'produce_batch_retried', ...line }, 'a batch was not acknowledged');
    else log.warn({ event: 'produce_batch_unacknowledged', ...line }, 'a batch was not acknowledged');
    switch (verdict) {
      case 'written-somewhere':
        lane.written();
        for (const passenger of batch.passengers) fail(passenger, new ProduceError(`written: ${reason}`, 'unknown'));
        return;
      case 'split':
        if (lane.split()) return;
        abandon(lane, outcome =>
          isTooLarge(errorCode) && outcome === 'not-written'
            ? new TooLargeError(lane.at, batch.sizeBytes, undefined)
            : new ProduceError(`refused: ${reason}`, outcome),
        );
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
    if (unsure) lane.doubt();
    if (performance.now() >= lane.deadline) abandon(lane, outcome => timedOut(outcome, reason));
    else later(lane);
  }

  function later(lane: Lane): void {
    lane.notBefore = performance.now() + backOffMs(lane.failures++, 20, 1_000);
  }

  /** What waited too long. A batch under way is not in `ready`, and so not here. */
  function expire(lane: Lane, now: number): void {
    if (now < lane.deadline && !cluster.closed) return;
    if (lane.batch !== undefined) abandon(lane, outcome => timedOut(outcome));
    const late = lane.remove(({ deadline }) => now >= deadline || cluster.closed);
    if (late.length > 0) giveUp(lane, late, timedOut);
  }

  function timedOut(outcome: 'not-written' | 'unknown', reason?: unknown): ProduceError {
    return new ProduceError(`not acknowledged within ${deliveryTimeoutMs} ms`, outcome, reason);
  }

  /** Gives the lane's batch up, and what waits behind it with the same keys. */
  function abandon(lane: Lane, because: Because): void {
    const { passengers, stamp, unsure } = lane.giveUp();
    // Its sequence numbers may have been used: nobody may use them again for something else.
    if (unsure && producer?.producerId === stamp?.producerId) producer = undefined;
    giveUp(lane, passengers, because);
  }

  /** Those that have left the lane without being written, and what waits behind them with the same keys. */
  function giveUp(lane: Lane, passengers: readonly Passenger[], because: Because): void {
    for (const passenger of passengers) fail(passenger, because(outcomeOf(passenger)));
    const keys = new Set(passengers.map(keyOf));
    const isBehind = (one: Passenger) => one.lane === lane && keys.has(keyOf(one));
    const behind = (passenger: Passenger): ProduceError => {
      const outcome = outcomeOf(passenger);
      return new ProduceError('a record of the same key before it was given up', outcome, because(outcome));
    };
    for (const passenger of lane.remove(isBehind)) fail(passenger, behind(passenger));
    for (const passenger of buffer.remove(isBehind)) passenger.reject(behind(passenger));
  }

  /** What is on its way goes when its attempt has failed. */
  function withdraw(): void {
    for (const lane of lanes.values()) withdrawFrom(lane);
    for (const passenger of buffer.remove(isWithdrawn)) passenger.reject(withdrawn('not-written'));
    makeRoom();
  }

  function withdrawFrom(lane: Lane): void {
    // A batch of a lane that is not ready is on its way.
    if (ready.has(lane) && lane.batch?.passengers.some(isWithdrawn) === true) abandon(lane, withdrawn);
    const waiting = lane.remove(isWithdrawn);
    if (waiting.length > 0) giveUp(lane, waiting, withdrawn);
  }

  function fail(passenger: Passenger, error: Error): void {
    buffer.release(passenger);
    passenger.reject(error);
  }

  /** After records have left, however they did. */
  function makeRoom(): void {
    buffer.admit();
    if (buffer.empty) drained?.();
  }

  return {
    send,
    close() {
      closing ??= (async () => {
        await new Promise<void>(resolve => {
          drained = resolve;
          makeRoom();
        });
        pulse.stop();
        cluster.close();
      })();
      return closing;
    },
  };
}

function isWithdrawn({ signal }: Passenger): boolean {
  return signal?.aborted === true;
}

function withdrawn(outcome: 'not-written' | 'unknown'): ProduceError {
  return new ProduceError('withdrawn by its sender', outcome);
}

function outcomeOf({ unsure }: Passenger): 'not-written' | 'unknown' {
  return unsure === true ? 'unknown' : 'not-written';
}

/** Null keys count as one: nobody can tell whether their order matters. */
function keyOf({ record: { key } }: Passenger): string | null {
  return typeof key === 'string' || key === null ? key : key.toString('utf8');
}
