import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../errors.ts';
import { type KafkaConnection, openLanes, partitionOf, type Topics } from '../kafka/index.ts';
import type { Closable, Ops, PenstockConfig } from '../ops/index.ts';
import { openReadings, type Readings } from './readings.ts';
import { type InstanceState, instanceName, openSelf } from './state.ts';
import { type FleetTopic, findFleetTopic } from './topic.ts';

export interface FleetParts {
  config: PenstockConfig<'fleet' | 'kafka'>;
  connection: KafkaConnection;
  topics: Pick<Topics, 'partitionCount' | 'ensure'>;
  ops: Pick<Ops, 'service' | 'log' | 'metrics' | 'readiness'>;
}

/** What a service tells of itself besides. */
export type Details = (readings: Readings) => Promise<object>;

/** Publishes the state of this process to the fleet's topic. It never holds up the service, nor fails it. */
export interface FleetPublisher extends Closable {
  readonly instance: string;
  /** From now on each state has these as well. */
  describe(details: Details): void;
  /** Something has changed that the console shows at once. */
  changed(): void;
  /** Says of a process that will not say it itself that it has gone, and takes its key out of the topic. */
  retire(key: string, state: object): Promise<void>;
  topic(): FleetTopic | undefined;
}

/** A state that cannot be written within this time is dropped: the next one says more, ms. */
const deliveryTimeoutMs = 3_000;
/** Room for one state of the largest size. */
const bufferBytes = 1_048_576;
/** Least time between two states of a process, whatever changes, ms. */
const hurryMs = 200;
/** Most bytes that a process publishes, a second, over a while: a larger state comes less often. */
const bytesPerSecond = 16_384;
/** How often it is looked whether the topic is there by now, ms. */
const lookMs = 10_000;
/** The longest time that the last words of a process take, ms. */
const farewellMs = 1_000;

export function openFleetPublisher(parts: FleetParts): FleetPublisher {
  const { connection, topics, ops } = parts;
  const { topic: name, intervalMs, instance: given } = parts.config.fleet;
  const { createTopics, replicationFactor } = parts.config.kafka;
  const create = createTopics ? { replicationFactor } : undefined;
  const instance = instanceName(given);
  const key = `${ops.service}/${instance}`;
  const readings = openReadings(ops.metrics);
  const self = openSelf(ops.service, instance, ops.readiness, () => readings.rate('process_cpu_seconds_total'));
  // Of its own, so that nothing else ever waits behind a state.
  const lanes = openLanes(connection, { bufferBytes, deliveryTimeoutMs });
  const stop = new AbortController();
  let details: Details = async () => ({});
  let found: FleetTopic | undefined;
  let wake = () => {};
  let isHurried = false;
  let said = '';
  let paceMs = intervalMs;
  let last: InstanceState | undefined;
  const running = run();
  let closing: Promise<void> | undefined;

  /** Never rejects. One state at a time: while it is on its way, what changes goes into the next one. */
  async function run(): Promise<void> {
    found = await look();
    if (found.kind === 'off') return;
    while (!stop.signal.aborted) {
      const sizeBytes = await publish();
      if (sizeBytes === undefined) await pause(found === undefined ? intervalMs : lookMs);
      else {
        paceMs = Math.max(intervalMs, (sizeBytes * 1_000) / bytesPerSecond);
        await pause(hurryMs);
        if (!isHurried) await pause(paceMs - hurryMs, () => isHurried);
      }
      isHurried = false;
    }
  }

  /** Returns the size of what was published; undefined where nothing was. */
  async function publish(): Promise<number | undefined> {
    try {
      if (found?.kind !== 'there') found = await look();
      if (found?.kind !== 'there' || stop.signal.aborted) return undefined;
      last = await self(Math.round(paceMs));
      const value = JSON.stringify({ ...last, ...(await details(readings)) });
      await lanes.send(placeOf(key, found.partitions), { key, value }, stop.signal);
      said = '';
      return value.length;
    } catch (error) {
      found = undefined;
      tell('state_not_published', messageOf(error));
      return undefined;
    }
  }

  /** Never rejects. */
  async function look(): Promise<FleetTopic> {
    const now = await findFleetTopic(topics, name, create).catch((error: unknown): FleetTopic => {
      return { kind: 'missing', advice: `the topic ${name} cannot be used: ${messageOf(error)}` };
    });
    if (now.kind === 'missing') tell('fleet_topic_missing', now.advice);
    return now;
  }

  /** Once, until it is over. */
  function tell(event: 'state_not_published' | 'fleet_topic_missing', reason: string): void {
    if (said === event || stop.signal.aborted) return;
    said = event;
    if (event === 'fleet_topic_missing') ops.log.warn({ event, reason }, 'the console shows nothing of this process');
    else ops.log.warn({ event, reason }, 'the state of this process could not be published');
  }

  async function pause(ms: number, isOver = () => false): Promise<void> {
    const over = new AbortController();
    wake = () => isOver() && over.abort();
    const signal = AbortSignal.any([stop.signal, over.signal]);
    await sleep(Math.max(0, ms), undefined, { signal }).catch(() => undefined);
  }

  function placeOf(of: string, partitions: number) {
    return { topic: name, partition: partitionOf(of, partitions) };
  }

  async function retire(of: string, state: object): Promise<void> {
    if (found?.kind !== 'there') return;
    const at = placeOf(of, found.partitions);
    // A stream passes over tombstones: whoever looks on is told by a state.
    const gone = lanes.send(at, { key: of, value: JSON.stringify({ ...state, status: 'GONE', reasons: [] }) });
    await Promise.all([gone, lanes.send(at, { key: of, value: null })]);
  }

  async function end(): Promise<void> {
    stop.abort();
    await running;
    const farewell = last === undefined ? undefined : retire(key, last).catch(() => undefined);
    const closed = Promise.resolve(farewell).then(() => lanes.close());
    const patience = new AbortController();
    const late = sleep(farewellMs, undefined, { signal: patience.signal }).catch(() => undefined);
    await Promise.race([closed.catch(() => undefined), late]);
    patience.abort();
  }

  return {
    instance,
    describe(given) {
      details = given;
    },
    changed() {
      isHurried = true;
      wake();
    },
    retire,
    topic: () => found,
    close: () => (closing ??= end()),
  };
}
