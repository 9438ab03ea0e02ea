import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../lib/errors.ts';
import { ConfigError } from '../lib/ops/config.ts';
import type { Logger } from '../lib/ops/index.ts';
import { openLog } from '../lib/ops/log.ts';

/** Waiting before something that failed is tried again, ms. */
const retryMs = 1_000;

/**
 * Runs a program that ends by itself, and exits: 0 when `main` resolves, else 1 with one line on stderr. A signal ends it at once, and
 * not with 0: Kubernetes must not take a Job that was evicted for one that is complete.
 */
export function runJob(name: string, main: (log: Logger) => Promise<void>): void {
  const log = openLog(name, 'info');
  // What ends because nothing is left to wait for has not done its work.
  process.exitCode = 1;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      log.fatal({ event: 'job_interrupted', signal }, 'ended before it was done');
      process.exit(1);
    });
  }
  main(log).then(
    () => process.exit(0),
    (error: unknown) => {
      if (error instanceof ConfigError)
        log.fatal({ event: 'configuration_refused', problems: error.problems }, 'configuration refused');
      else log.fatal({ event: 'job_failed', error }, messageOf(error));
      process.exit(1);
    },
  );
}

/**
 * Tries until it works, and logs each new reason why it does not yet: a server may still be starting. There is no time-out, for the
 * Job has one.
 * @throws what `isFinal` says of a failure: trying again would not help.
 */
export async function untilDone<T>(
  what: string,
  attempt: () => Promise<T>,
  isFinal: (error: unknown) => boolean,
  log: Logger,
): Promise<T> {
  for (let said = ''; ; await sleep(retryMs)) {
    try {
      return await attempt();
    } catch (error) {
      if (isFinal(error)) throw error;
      const reason = messageOf(error);
      if (reason !== said) log.warn({ event: 'job_step_waits', reason }, `${what}: not possible yet; trying again`);
      said = reason;
    }
  }
}
