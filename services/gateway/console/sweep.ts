import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import { messageOf } from '../../../lib/errors.ts';
import { type FleetPublisher, publishedState, silenceMs } from '../../../lib/fleet/index.ts';
import { type KafkaRecord, keyText } from '../../../lib/kafka/index.ts';
import type { Closable, Logger } from '../../../lib/ops/index.ts';
import type { Ownership } from '../../../lib/ownership/types.ts';
import type { RecordStreams } from '../../../lib/replay/index.ts';

export interface SweepParts {
  topic: string;
  publisher: Pick<FleetPublisher, 'retire' | 'topic'>;
  ownership: Pick<Ownership, 'tenure' | 'onTransition'>;
  records: Pick<RecordStreams, 'open'>;
  log: Logger;
}

type State = z.infer<typeof publishedState>;

/** Keys that are looked after: more processes than an installation has. */
const mostKeys = 10_000;
const lookMs = 2_000;
const retryMs = 5_000;
const bufferBytes = 4_194_304;
/** Who owns this partition does it: of all gateways exactly one, and another one when it is gone. */
const sweeperPartition = 0;

/** The processes that a topic tells of, and which of them are silent. No I/O, and no clock but that of the records. */
export class Known {
  readonly #states = new Map<string, { state: State; atMs: number }>();
  #newestMs = 0;

  take(record: Pick<KafkaRecord, 'value' | 'timestampMs'>, key: string): void {
    this.#newestMs = Math.max(this.#newestMs, record.timestampMs);
    const state = stateOf(record.value);
    if (state === undefined || state.status === 'GONE') this.#states.delete(key);
    else if (this.#states.has(key) || this.#states.size < mostKeys) {
      this.#states.set(key, { state, atMs: record.timestampMs });
    }
  }

  /** Those that have said nothing for too long, by the brokers' clock. */
  silent(): [key: string, state: State][] {
    return [...this.#states]
      .filter(([, { state, atMs }]) => this.#newestMs - atMs > silenceMs(state.intervalMs))
      .map(([key, { state }]) => [key, state]);
  }
}

/** Takes processes out of the fleet's topic that were killed: they could not say themselves that they end. */
export function sweepFleet(parts: SweepParts): Closable {
  const { topic, publisher, ownership, log } = parts;
  const closing = new AbortController();
  let turn: AbortController | undefined;
  let running: Promise<void> = Promise.resolve();
  ownership.onTransition(partition => {
    if (partition === sweeperPartition) follow();
  });
  follow();
  return {
    async close() {
      closing.abort();
      turn?.abort();
      await running;
    },
  };

  function follow(): void {
    const isMine = ownership.tenure(sweeperPartition).state === 'owned';
    if (!isMine) {
      turn?.abort();
      turn = undefined;
      return;
    }
    if (turn !== undefined || closing.signal.aborted) return;
    turn = new AbortController();
    const { signal } = turn;
    running = running.then(() => sweep(signal));
  }

  /** Never rejects. */
  async function sweep(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const found = publisher.topic();
      if (found?.kind === 'there') {
        await read(found.partitions, signal).catch((error: unknown) => {
          if (!signal.aborted)
            log.debug({ event: 'fleet_not_swept', reason: messageOf(error) }, 'the fleet is not swept');
        });
      }
      await sleep(retryMs, undefined, { signal }).catch(() => undefined);
    }
  }

  async function read(partitions: number, signal: AbortSignal): Promise<void> {
    const known = new Known();
    const all = Array.from({ length: partitions }, (_, partition) => partition);
    const stream = await parts.records.open({
      ...{ topic, partitions: all, key: undefined, start: { kind: 'earliest' }, bufferBytes },
    });
    const end = () => stream.close();
    signal.addEventListener('abort', end, { once: true });
    if (signal.aborted) end();
    // Before all is read, an old state is not known to be the newest one.
    let isLive = false;
    void stream.live.then(() => {
      isLive = true;
    });
    const timer = setInterval(() => isLive && void retireSilent(known), lookMs);
    try {
      for (let batch = await stream.next(); batch !== undefined; batch = await stream.next()) {
        for (const item of batch) {
          const key = keyText(item.record);
          if (key !== undefined) known.take(item.record, key);
          stream.advance(item);
        }
      }
    } finally {
      clearInterval(timer);
      signal.removeEventListener('abort', end);
      end();
    }
  }

  /** Never rejects. One that is refused is silent at the next look, too. */
  async function retireSilent(known: Known): Promise<void> {
    for (const [key, state] of known.silent()) {
      log.info({ event: 'instance_silent', instance: state.instance }, 'a process that is silent leaves the console');
      await publisher.retire(key, state).catch(() => undefined);
    }
  }
}

const json = z.string().transform((text, context) => {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    context.addIssue('no JSON');
    return z.NEVER;
  }
});

/** Undefined for a tombstone, and for what is no state. */
function stateOf(value: Buffer | null): State | undefined {
  if (value === null) return undefined;
  const parsed = json.pipe(publishedState).safeParse(value.toString());
  return parsed.success ? parsed.data : undefined;
}
