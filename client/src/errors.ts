import type { GraphqlError } from './types.ts';

/** The caller has to log in: no attempt to connect follows. Throw it from `getToken` where there is no token to be had. */
export class UnauthorizedError extends Error {
  override readonly name = 'UnauthorizedError';
}

/** The servers have refused an operation, for good. */
export class OperationError extends Error {
  override readonly name = 'OperationError';
  readonly errors: readonly GraphqlError[];
  /** As `FORBIDDEN`, from Penstock's catalogue of errors. */
  readonly code: unknown;

  constructor(errors: readonly GraphqlError[] = []) {
    super(errors[0]?.message);
    this.errors = errors;
    this.code = errors[0]?.extensions?.code;
  }
}

/** A connection has ended, or could not be made. */
export class ConnectionError extends Error {
  override readonly name = 'ConnectionError';
  /** The code of the WebSocket's close; 1006 where there was none. */
  readonly code: number;
  /** The server wants this much time, ms. */
  readonly retryAfterMs: number;

  constructor(code: number, reason: string, retryAfterMs = 0) {
    super(reason || `closed with ${code}`);
    this.code = code;
    this.retryAfterMs = retryAfterMs;
  }
}

/** Codes that say that this client is wrong: the same again would end the same way. */
const finalCodes = [1009, 4400, 4406, 4409, 4429];

/** By its name: an application may have two copies of this package. */
export const isUnauthorized = (error: unknown): boolean => (error as Error | undefined)?.name === 'UnauthorizedError';

export const isFinal = (error: unknown): boolean =>
  isUnauthorized(error) || finalCodes.includes((error as ConnectionError)?.code);

export const messageOf = (error: unknown): string => (error as Error | undefined)?.message ?? String(error);

/** Codes, and the one limit among results that the same request may keep in a moment: others that do are statuses (429) or closes (1013). */
const passing = /^(UNAVAILABLE|NOT_OWNER|COMMAND_PENDING)$|_MAX_COMMANDS$/;

/** Returns whether the same operation may succeed later, or (a command) have its verdict then. */
export function isPassing(errors: readonly GraphqlError[] = []): boolean {
  return errors.some(({ extensions }) => passing.test(String(extensions?.limit ?? extensions?.code)));
}
