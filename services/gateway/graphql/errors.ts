import { GraphQLError, type GraphQLFormattedError } from 'graphql';
import { type ErrorCode, errorCatalogue, limitOf, PenstockError } from '../../../lib/errors.ts';
import type { Logger } from '../../../lib/ops/index.ts';

/** Several errors at once, as parsing, validation and variables give them. */
export class OperationRefused extends Error {
  readonly errors: readonly GraphQLError[];
  constructor(errors: readonly GraphQLError[]) {
    super(errors[0]?.message ?? 'refused');
    this.name = 'OperationRefused';
    this.errors = errors;
  }
}

/**
 * Formats whatever was thrown for the client, at least one error; what it may not see is masked as `INTERNAL` and
 * logged.
 */
export type ErrorFormatter = (
  error: unknown,
  traceparent?: string,
) => readonly [GraphQLFormattedError, ...GraphQLFormattedError[]];

export function openErrorFormatter(log: Logger): ErrorFormatter {
  return (error, traceparent) => {
    const refused = refusalIn(error);
    const [first = error, ...others] = refused?.errors ?? [];
    return [format(first), ...others.map(format)];

    function format(error: unknown): GraphQLFormattedError {
      const verdict = classify(error);
      if (verdict.code === 'INTERNAL')
        log.error({ event: 'operation_failed', error: rootCauseOf(error), traceparent }, 'an operation failed');
      const where = error instanceof GraphQLError ? { ...located(error) } : {};
      return { message: verdict.message, ...where, extensions: { ...verdict.extensions, code: verdict.code } };
    }
  };
}

function refusalIn(error: unknown): OperationRefused | undefined {
  for (let cause = error; cause instanceof Error; cause = causeOf(cause)) {
    if (cause instanceof OperationRefused) return cause;
  }
  return undefined;
}

interface Verdict {
  code: ErrorCode;
  message: string;
  extensions: Readonly<Record<string, unknown>>;
}

/**
 * Which code an error carries. Errors that graphql-js raises before it resolves a field (syntax, validation,
 * variables) have no path and are the caller's; with a path only those about an argument are. What something else has caused is
 * never the caller's: graphql-ws wraps what ends a subscription in an error of that kind, message and all.
 */
export function classify(error: unknown): Verdict {
  for (let cause: unknown = error; cause instanceof Error; cause = causeOf(cause)) {
    if (cause instanceof PenstockError) {
      return cause.code === 'INTERNAL'
        ? internal
        : { code: cause.code, message: cause.message, extensions: cause.extensions };
    }
  }
  if (!(error instanceof GraphQLError && rootCauseOf(error) instanceof GraphQLError)) return internal;
  const code = error.extensions.code;
  if (isErrorCode(code) && code !== 'INTERNAL') return { code, message: error.message, extensions: error.extensions };
  if (error.path === undefined || error.message.startsWith('Argument "')) {
    return { code: 'BAD_USER_INPUT', message: error.message, extensions: error.extensions };
  }
  return internal;
}

const internal: Verdict = { code: 'INTERNAL', message: errorCatalogue.INTERNAL.meaning, extensions: {} };

function isErrorCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(errorCatalogue, code);
}

function causeOf(error: Error): unknown {
  return error instanceof GraphQLError ? (error.originalError ?? error.cause) : error.cause;
}

function rootCauseOf(error: unknown): unknown {
  let root = error;
  for (let cause = error; cause !== undefined; cause = cause instanceof Error ? causeOf(cause) : undefined)
    root = cause;
  return root;
}

function located(error: GraphQLError): Pick<GraphQLFormattedError, 'locations' | 'path'> {
  return {
    ...(error.locations && { locations: error.locations }),
    ...(error.path && { path: error.path }),
  };
}

/** The codes of formatted errors, for transports that turn them into a status. */
export function codeOf(error: GraphQLFormattedError): ErrorCode {
  const code = error.extensions?.code;
  return isErrorCode(code) ? code : 'INTERNAL';
}

/** Returns whether a subscription that was refused with this error may be served in a moment: who asked shall come back. */
export function isPassing(error: unknown): boolean {
  if (!(error instanceof PenstockError)) return false;
  return error.code === 'UNAVAILABLE' || limitOf(error.extensions) === 'PENSTOCK_REPLAY_MAX_WAITING';
}
