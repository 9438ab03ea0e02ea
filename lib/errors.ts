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
