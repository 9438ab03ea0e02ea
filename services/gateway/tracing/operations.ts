import type { GraphQLFormattedError } from 'graphql';
import { type ErrorCode, httpStatusOf } from '../../../lib/errors.ts';
import { isTraceparent, type Span, type Tracer, traceparentOf } from '../../../lib/ops/index.ts';
import type { Prepared } from '../graphql/engine.ts';
import { classify, codeOf } from '../graphql/errors.ts';

/** The origin of an operation. */
export interface OperationOrigin {
  /** A `traceparent`, as it came. */
  parent: unknown;
  transport: 'http' | 'websocket';
  /** Undefined: now. */
  startedAtMs?: number | undefined;
}

/** Begins the span of an operation, whose document is sound: https://opentelemetry.io/docs/specs/semconv/graphql/ */
export function beginOperation(tracer: Tracer, { type, request }: Prepared, origin: OperationOrigin): Span {
  const attributes = {
    'graphql.operation.type': type,
    'graphql.operation.name': request.operationName,
    'http.route': '/graphql',
    'network.protocol.name': origin.transport,
  };
  return tracer.begin('server', type, origin.parent, attributes, origin.startedAtMs);
}

/** Ends the span of an operation by the errors of its result. */
export function endOperation(span: Span, errors: readonly GraphQLFormattedError[] | undefined): void {
  const [error] = errors ?? [];
  if (error === undefined) span.end();
  else endWith(span, codeOf(error), error.extensions);
}

/** Ends the span of an operation by what has refused it or broken it off. */
export function endFailed(span: Span, error: unknown): void {
  const { code, extensions } = classify(error);
  endWith(span, code, extensions);
}

/** Errors that are the client's fault don't make a span fail, as with the HTTP statuses from 400 to 499. */
function endWith(span: Span, code: ErrorCode, extensions: Readonly<Record<string, unknown>> | undefined): void {
  span.set({ 'penstock.error.code': code });
  span.end(code === 'COMMAND_PENDING' || httpStatusOf(code, extensions) >= 500 ? code : undefined);
}

/**
 * Returns the `traceparent` under which operations of a WebSocket run that bring none of their own: the router's, or, of a client that
 * came without one, that of a trace which begins here.
 */
export function connectionTrace(tracer: Tracer | undefined, incoming: unknown): string {
  if (tracer === undefined) return traceparentOf(incoming);
  if (isTraceparent(incoming)) return incoming;
  const span = tracer.begin('server', 'GET /graphql', undefined, { 'network.protocol.name': 'websocket' });
  span.end();
  return span.traceparent;
}
