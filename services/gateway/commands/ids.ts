import { isUuid, uuidV5 } from '../../../lib/app/uuid.ts';
import { PenstockError } from '../../../lib/errors.ts';

export interface CommandOrigin {
  /** The argument `commandId`. */
  given: unknown;
  userKey: string;
  /** The operation's id on a WebSocket. */
  operationId: string | undefined;
  /** The field's response path. */
  path: readonly (string | number)[];
}

/**
 * A command's id: the one given (lower case: unique means one spelling), else on a WebSocket a UUIDv5 of user,
 * operation id and response path where the operation id is a UUID, so that a client which sends the operation again
 * sends the same command; else `random()`.
 * @throws PenstockError BAD_USER_INPUT when the one given is no UUID.
 */
export function commandIdOf(origin: CommandOrigin, random: () => string): string {
  const { given, operationId } = origin;
  if (given !== undefined && given !== null) {
    if (isUuid(given)) return given.toLowerCase();
    throw new PenstockError('BAD_USER_INPUT', 'commandId must be a UUID');
  }
  if (!isUuid(operationId)) return random();
  return uuidV5(operationId, JSON.stringify([origin.userKey, ...origin.path]));
}
