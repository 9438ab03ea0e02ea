import { messageOf } from '../../lib/errors.ts';
import type { DeadLetters } from '../../lib/kafka/index.ts';
import type { Logger } from '../../lib/ops/index.ts';
import type { DeadIntake } from './types.ts';

/**
 * Takes a record that nobody can be answered for to `<topic>-dlt`. Resolves also when that was impossible: the record
 * stays where it is in the log, and the log line names its place; it never stops its partition.
 */
export type Bury = (intake: DeadIntake) => Promise<void>;

export function openGraveyard(letters: DeadLetters, log: Logger): Bury {
  return async ({ at, exception, message, record }) => {
    const place = { topic: at.topic, partition: at.partition, offset: at.offset, reason: message };
    try {
      await letters.send({ record, exception: `penstock.commands.${exception}`, reason: message });
      log.warn(place, 'a record went to the dead-letter topic');
    } catch (error) {
      log.error(
        { ...place, error: messageOf(error) },
        'a record could not be written to the dead-letter topic: it is skipped',
      );
    }
  };
}
