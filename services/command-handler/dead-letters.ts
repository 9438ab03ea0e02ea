import { setTimeout as sleep } from 'node:timers/promises';
import { messageOf } from '../../lib/errors.ts';
import { type DeadLetters, headerText } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import { sizeOf } from './intake.ts';
import type { DeadIntake } from './types.ts';

/**
 * Takes a record that nobody can be answered for to `<topic>-dlt`. Resolves also when that was impossible: the record
 * stays where it is in the log, and the log line names its place; it never stops its partition.
 */
export type Bury = (intake: DeadIntake) => Promise<void>;

/** Bytes of letters that are not acknowledged. They share the lanes with events, which must not wait for room. */
const mostBytes = 1_048_576;

/**
 * @param patienceMs how long a letter may take before the handler goes on without it, ms. Once one has taken longer, no further
 * letter of its topic is waited for, until one is acknowledged.
 */
export function openGraveyard(letters: Pick<DeadLetters, 'send'>, log: Logger, patienceMs = 10_000): Bury {
  /** Topics whose letters are not waited for. */
  const stuck = new Set<string>();
  let unacknowledgedBytes = 0;

  async function send({ exception, message, record, at }: DeadIntake): Promise<void> {
    const sizeBytes = sizeOf(record);
    if (unacknowledgedBytes > 0 && unacknowledgedBytes + sizeBytes > mostBytes) {
      throw new Error('too many letters before it are not acknowledged');
    }
    unacknowledgedBytes += sizeBytes;
    try {
      await letters.send({ record, exception: `penstock.commands.${exception}`, reason: message });
      stuck.delete(at.topic);
    } finally {
      unacknowledgedBytes -= sizeBytes;
    }
  }

  return async intake => {
    const { at, message, record } = intake;
    const traceparent = headerText(record.headers, 'traceparent');
    const place = { topic: at.topic, partition: at.partition, offset: at.offset, reason: message, traceparent };
    const sent = send(intake).then(
      () => log.warn({ event: 'dead_letter_written', ...place }, 'a record went to the dead-letter topic'),
      (error: unknown) =>
        log.error(
          { event: 'dead_letter_lost', ...place, error: messageOf(error) },
          'a record could not be written to the dead-letter topic: it is skipped',
        ),
    );
    if (stuck.has(at.topic)) return;
    try {
      await inTime(sent, patienceMs);
    } catch (error) {
      stuck.add(at.topic);
      log.error(
        { event: 'dead_letter_waits', ...place, error: messageOf(error) },
        'a record waits for the dead-letter topic; the handler goes on',
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
