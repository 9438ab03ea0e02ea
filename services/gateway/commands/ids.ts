import { hash } from 'node:crypto';
import { PenstockError } from '../../../lib/errors.ts';

const pattern = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;

export function isUuid(text: unknown): text is string {
  return typeof text === 'string' && pattern.test(text);
}

/** A name-based UUID, version 5 (RFC 9562, section 5.5). `namespace` is a UUID. */
export function uuidV5(namespace: string, name: string): string {
  const named = Buffer.concat([Buffer.from(namespace.replaceAll('-', ''), 'hex'), Buffer.from(name)]);
  const digest = hash('sha1', named, 'buffer').subarray(0, 16);
  digest.writeUInt8((digest.readUInt8(6) & 0x0f) | 0x50, 6);
  digest.writeUInt8((digest.readUInt8(8) & 0x3f) | 0x80, 8);
  const hex = digest.toString('hex');
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`;
}

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
