import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../lib/errors.ts';
import type { DeadLetters } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { DeadIntake } from './types.ts';

/**
 * Takes a record that nobody can be answered for to `<topic>-dlt`. Resolves also when that was impossible: the record
 * stays where it is in the log, and the log line names its place; it never stops its partition.
 */
export type Bury = (intake: DeadIntake) => Promise<void>;

/** @param patienceMs how long a letter may take before the handler goes on without it, ms. */
export function openGraveyard(letters: DeadLetters, log: Logger, patienceMs = 10_000): Bury {
  return async ({ at, exception, message, record }) => {
    const place = { topic: at.topic, partition: at.partition, offset: at.offset, reason: message };
    try {
      const sent = letters.send({ record, exception: `penstock.commands.${exception}`, reason: message });
      await inTime(sent, patienceMs);
      log.warn(place, 'a record went to the dead-letter topic');
    } catch (error) {
      log.error(
        { ...place, error: messageOf(error) },
        'a record could not be written to the dead-letter topic: it is skipped',
      );
    }
  };
}

/** The handler's lanes try for a day: so long nobody may wait for a letter. It may be written later all the same. */
async function inTime(sent: Promise<unknown>, ms: number): Promise<void> {
  const over = new AbortController();
  const late = sleep(ms, undefined, { signal: over.signal }).then(() => {
    throw new Error(`not acknowledged within ${ms} ms`);
  });
  try {
    await Promise.race([sent, late]);
  } finally {
    late.catch(() => undefined); // cut short by the next line
    over.abort();
  }
}
