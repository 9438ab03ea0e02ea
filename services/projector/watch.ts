import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../lib/errors.ts';
import type { Closable, Ops } from '../../lib/ops/index.ts';

const intervalMs = 2_000;
const retryMs = 500;

/**
 * Tries until it succeeds; meanwhile `part` is not ready, for the reason of the last failure. What `isFinal` says of a
 * failure is thrown, and so is the abortion.
 */
export async function untilSuccess<Result>(
  part: string,
  attempt: () => Promise<Result>,
  isFinal: (error: unknown) => boolean,
  { log, readiness }: Pick<Ops, 'log' | 'readiness'>,
  signal: AbortSignal,
): Promise<Result> {
  readiness.set(part, 'connecting');
  for (let logged = ''; ; ) {
    try {
      const result = await attempt();
      readiness.set(part, undefined);
      return result;
    } catch (error) {
      if (isFinal(error) || signal.aborted) throw error;
      const reason = messageOf(error);
      if (reason !== logged)
        log.warn({ event: 'start_waits', part, reason }, 'a step of the start is not possible yet; trying on');
      logged = reason;
      readiness.set(part, reason);
    }
    await sleep(retryMs, undefined, { signal });
  }
}

/** Keeps the readiness reason of a server true while the service runs. */
export function watch(
  part: 'kafka' | 'postgres',
  probe: () => Promise<unknown>,
  { log, readiness }: Pick<Ops, 'log' | 'readiness'>,
): Closable {
  const stop = new AbortController();
  let isAway = false;
  const watching = (async () => {
    while (!stop.signal.aborted) {
      const reason = await probe().then(() => undefined, messageOf);
      if (stop.signal.aborted) return;
      if (reason !== undefined && !isAway) log.warn({ event: `${part}_away`, reason }, `${part} is away`);
      if (reason === undefined && isAway) log.info({ event: `${part}_back` }, `${part} is back`);
      isAway = reason !== undefined;
      readiness.set(part, reason);
      await sleep(isAway ? retryMs : intervalMs, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  })();
  return {
    async close() {
      stop.abort();
      await watching;
    },
  };
}
