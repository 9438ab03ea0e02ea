import { Counter } from 'prom-client';
import type { KafkaOps } from './connection.ts';

/** Links report here what an operator has to know of their brokers. */
export interface BrokerReports {
  /** The broker can't be used, for this reason. */
  refused(address: string, reason: string): void;
  /** The broker can be used. */
  accepted(address: string): void;
  /** The broker takes nothing from one connection for so long, because a quota is exceeded. */
  throttled(address: string, apiName: string, ms: number): void;
  close(): void;
}

/** A reason is dropped when nothing has been heard of the broker for so long, ms: it may have left the cluster. */
const refusalMs = 30_000;
/** A shorter pause is what quotas are for, and worth no warning. */
const warnMs = 1_000;
/** A warning stays for so long after the pause, ms: between two of them one request gets through. */
const lingerMs = 5_000;
/** Log lines of one API's throttling are at least so far apart, ms. */
const quietMs = 60_000;
/** Most brokers and APIs remembered at a time. */
const maxNotes = 256;

const quotas: Readonly<Record<string, string>> = { Produce: 'producer_byte_rate', Fetch: 'consumer_byte_rate' };

export function openBrokerReports({ log, metrics, readiness, service }: KafkaOps): BrokerReports {
  const seconds = throttledSeconds(metrics);
  const refusals = openNotes(text => readiness?.set('brokers', text));
  const pauses = openNotes(text => readiness?.warn('quota', text));
  const saidAt = new Map<string, number>();
  return {
    refused(address, reason) {
      if (refusals.add(address, `${address}: ${reason}`, refusalMs))
        log.error({ event: 'broker_refused', broker: address, reason }, 'a broker is refused');
    },
    accepted: refusals.remove,
    throttled(address, apiName, ms) {
      seconds.inc({ api: apiName }, ms / 1_000);
      if (ms < warnMs) return;
      const quota = quotas[apiName] ?? 'request_percentage';
      const advice = `raise ${quota} for its user or client id (${service})`;
      const warning = `${address} throttles ${apiName} requests of this process, the last for ${ms} ms: ${advice}`;
      pauses.add(apiName, warning, ms + lingerMs);
      const now = performance.now();
      if (now - (saidAt.get(apiName) ?? Number.NEGATIVE_INFINITY) < quietMs) return;
      saidAt.set(apiName, now);
      log.warn(
        { event: 'broker_throttles', broker: address, api: apiName, throttledMs: ms },
        `throttled by a quota: ${advice}`,
      );
    },
    close() {
      refusals.close();
      pauses.close();
    },
  };
}

/** One connection more to the same registry counts with the others. */
function throttledSeconds(metrics: KafkaOps['metrics']): Counter<'api'> {
  const name = 'penstock_kafka_throttled_seconds_total';
  const known = metrics.getSingleMetric(name);
  if (known instanceof Counter) return known;
  const seconds = new Counter({
    name,
    help: 'Time for which brokers took nothing from a connection of this process because of a client quota',
    labelNames: ['api'],
    registers: [metrics],
  });
  for (const api of Object.keys(quotas)) seconds.inc({ api }, 0);
  return seconds;
}

interface Notes {
  /** Returns whether it is new. */
  add(key: string, text: string, forMs: number): boolean;
  remove(key: string): void;
  close(): void;
}

/** Keeps texts for a time each, and tells all that there are; undefined: none. */
function openNotes(tell: (text: string | undefined) => void): Notes {
  const notes = new Map<string, { text: string; timer: NodeJS.Timeout }>();
  const tellAll = () => tell(notes.size === 0 ? undefined : [...notes.values()].map(({ text }) => text).join('; '));
  const remove = (key: string): void => {
    const note = notes.get(key);
    if (note === undefined) return;
    clearTimeout(note.timer);
    notes.delete(key);
    tellAll();
  };
  return {
    add(key, text, forMs) {
      const before = notes.get(key);
      if (before === undefined && notes.size >= maxNotes) return false;
      clearTimeout(before?.timer);
      notes.set(key, { text, timer: setTimeout(() => remove(key), forMs).unref() });
      tellAll();
      return before === undefined;
    },
    remove,
    close() {
      for (const { timer } of notes.values()) clearTimeout(timer);
      notes.clear();
    },
  };
}
