/**
 * The error catalogue: every code a client can meet, what it means, and what to do about it.
 * `docs/protocol.md` prints this table; nothing else in the project invents a code.
 */

export type ErrorCode =
  | 'UNAUTHENTICATED'
  | 'FORBIDDEN'
  | 'BAD_USER_INPUT'
  | 'COMMAND_PENDING'
  | 'CURSOR_INVALID'
  | 'CURSOR_EXPIRED'
  | 'NOT_OWNER'
  | 'UNAVAILABLE'
  | 'LIMIT_EXCEEDED'
  | 'INTERNAL';

interface ErrorKind {
  meaning: string;
  /** Whether sending the very same request again can help. */
  retry: 'no' | 'now' | 'later';
  httpStatus: number;
}

export const errorCatalogue: Readonly<Record<ErrorCode, ErrorKind>> = {
  UNAUTHENTICATED: { meaning: 'no access token, or one that does not hold', retry: 'no', httpStatus: 401 },
  FORBIDDEN: { meaning: 'the caller lacks the role that the field requires', retry: 'no', httpStatus: 403 },
  BAD_USER_INPUT: { meaning: 'an argument or the request itself is malformed', retry: 'no', httpStatus: 400 },
  COMMAND_PENDING: {
    meaning: 'no verdict in time; send the same commandId again to get it',
    retry: 'later',
    httpStatus: 200,
  },
  CURSOR_INVALID: {
    meaning: 'the cursor is forged, or belongs to another user, field or arguments',
    retry: 'no',
    httpStatus: 400,
  },
  CURSOR_EXPIRED: {
    meaning: 'the position is no longer in the log; extensions.earliest is where it can go on',
    retry: 'no',
    httpStatus: 410,
  },
  NOT_OWNER: {
    meaning: 'this replica does not own the partition; ask the router again',
    retry: 'now',
    httpStatus: 421,
  },
  UNAVAILABLE: {
    meaning: 'a dependency is away, or no replica owns the partition yet',
    retry: 'later',
    httpStatus: 503,
  },
  LIMIT_EXCEEDED: { meaning: 'a documented limit was passed', retry: 'later', httpStatus: 429 },
  INTERNAL: { meaning: 'a defect on our side; the details are in the log', retry: 'no', httpStatus: 500 },
};

/** An error whose message may be shown to the client. Everything else is masked as `INTERNAL`. */
export class PenstockError extends Error {
  readonly code: ErrorCode;
  readonly extensions: Readonly<Record<string, unknown>>;

  constructor(code: ErrorCode, message: string, extensions: Readonly<Record<string, unknown>> = {}, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = 'PenstockError';
    this.code = code;
    this.extensions = extensions;
  }
}

/**
 * Every limit that can refuse something, by the variable that sets it, with the HTTP status of such a refusal: 400 for a
 * document or its answer, 413 and 431 for what is too large, 429 for a rate or a count. Each refusal carries the variable
 * as `extensions.limit` and counts in `penstock_limit_refused_total`.
 */
export const limitStatus = {
  PENSTOCK_GATEWAY_MAX_DEPTH: 400,
  PENSTOCK_GATEWAY_MAX_ALIASES: 400,
  PENSTOCK_GATEWAY_MAX_FIELDS: 400,
  PENSTOCK_GATEWAY_MAX_TOKENS: 400,
  PENSTOCK_GATEWAY_MAX_NAME_LENGTH: 400,
  PENSTOCK_GATEWAY_MAX_OPERATION_ID_LENGTH: 400,
  PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES: 400,
  PENSTOCK_GATEWAY_MAX_REQUEST_BYTES: 413,
  PENSTOCK_GATEWAY_MAX_CONNECTIONS: 429,
  PENSTOCK_GATEWAY_MAX_PENDING: 429,
  PENSTOCK_GATEWAY_MAX_SUBSCRIPTIONS: 429,
  PENSTOCK_GATEWAY_MAX_COMMANDS: 429,
  PENSTOCK_REPLAY_MAX_WAITING: 429,
  PENSTOCK_HTTP_MAX_HEADER_BYTES: 431,
  PENSTOCK_ROUTE_MAX_CONNECTIONS: 429,
  PENSTOCK_ROUTE_MAX_WAITING: 429,
  PENSTOCK_ROUTE_MAX_UNOWNED: 429,
  PENSTOCK_LOGIN_MAX_BODY_BYTES: 413,
  PENSTOCK_LOGIN_MAX_WAITING: 429,
  PENSTOCK_LOGIN_MAX_FAILURES: 429,
  /** Kafka's own, of a command's topic. */
  'max.message.bytes': 413,
} as const;

export type Limit = keyof typeof limitStatus;

/** Returns the error of a refusal by a limit. @param more extensions besides `limit`, as `retryAfterSeconds`. */
export function limitExceeded(
  limit: Limit,
  message: string,
  more: Readonly<Record<string, unknown>> = {},
  cause?: unknown,
): PenstockError {
  return new PenstockError('LIMIT_EXCEEDED', message, { ...more, limit }, cause);
}

/** Returns the limit that an error's extensions name. */
export function limitOf(extensions: Readonly<Record<string, unknown>> | undefined): Limit | undefined {
  const limit = extensions?.limit;
  return typeof limit === 'string' && Object.hasOwn(limitStatus, limit) ? (limit as Limit) : undefined;
}

/** Returns the HTTP status of an error: that of its limit, else that of its code. */
export function httpStatusOf(code: ErrorCode, extensions: Readonly<Record<string, unknown>> | undefined): number {
  const limit = limitOf(extensions);
  return limit === undefined ? errorCatalogue[code].httpStatus : limitStatus[limit];
}

/** WebSocket close codes: 1012 and 1013 ask the client to come back, 4403 to refresh its token first, 4401 is final. */
export const closeCodes = {
  /** This replica is leaving or handing over: reconnect now, resume. */
  restart: 1012,
  /** Overloaded, limited or no owner: back off. */
  tryAgainLater: 1013,
  /** Invalid, or not yours: final. */
  unauthorized: 4401,
  /** The access token has expired: refresh, reconnect. */
  tokenExpired: 4403,
} as const;

/** The message of whatever was thrown. */
export function messageOf(thrown: unknown): string {
  return thrown instanceof Error ? thrown.message : String(thrown);
}
