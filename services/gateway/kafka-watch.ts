import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../lib/errors.ts';
import type { Topics } from '../../lib/kafka/index.ts';
import type { Closable, Ops } from '../../lib/ops/index.ts';

const intervalMs = 2_000;
const retryMs = 500;

/**
 * Tries until it succeeds, with the reason of the last failure as readiness reason `kafka`. What `isFinal` says of a
 * failure is thrown.
 */
export async function untilKafkaAnswers<T>(
  attempt: () => Promise<T>,
  isFinal: (error: unknown) => boolean,
  { log, readiness }: Pick<Ops, 'log' | 'readiness'>,
  signal: AbortSignal,
): Promise<T> {
  readiness.set('kafka', 'connecting');
  for (;;) {
    try {
      const value = await attempt();
      readiness.set('kafka', undefined);
      return value;
    } catch (error) {
      if (isFinal(error)) throw error;
      log.warn({ event: 'kafka_away', reason: messageOf(error) }, 'Kafka is away');
      readiness.set('kafka', `Kafka is away: ${messageOf(error)}`);
    }
    await sleep(retryMs, undefined, { signal });
  }
}

/** Keeps the readiness reason `kafka` true while the service runs. */
export function watchKafka(
  topics: Pick<Topics, 'clusterId'>,
  { log, readiness }: Pick<Ops, 'log' | 'readiness'>,
): Closable {
  const stop = new AbortController();
  let away = false;
  const watching = watch();
  return {
    async close() {
      stop.abort();
      await watching;
    },
  };

  async function watch(): Promise<void> {
    while (!stop.signal.aborted) {
      try {
        await topics.clusterId();
        if (away) log.info({ event: 'kafka_back' }, 'Kafka is back');
        away = false;
        readiness.set('kafka', undefined);
      } catch (error) {
        if (stop.signal.aborted) return;
        if (!away) log.warn({ event: 'kafka_away', reason: messageOf(error) }, 'Kafka is away');
        away = true;
        readiness.set('kafka', `Kafka is away: ${messageOf(error)}`);
      }
      await sleep(away ? retryMs : intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  }
}
