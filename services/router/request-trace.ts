import type { IncomingMessage, ServerResponse } from 'node:http';
import { type Span, type Tracer, traceparentOf } from '../../lib/ops/index.ts';

/** The trace of a request for `/graphql`. */
export interface RequestTrace {
  /** To hand on. */
  traceparent: string;
  /** Undefined where nothing is traced. */
  span: Span | undefined;
}

/** Begins or goes on with a request's trace. From now on its header `traceparent` is what is handed on, whatever the client has sent. */
export function beginTrace(tracer: Tracer | undefined, request: IncomingMessage): RequestTrace {
  const { method = '', headers } = request;
  const span = tracer?.begin('server', `${method} /graphql`, headers.traceparent, {
    'http.request.method': method,
    'http.route': '/graphql',
    'network.protocol.name': headers.upgrade === undefined ? 'http' : 'websocket',
  });
  const traceparent = span?.traceparent ?? traceparentOf(headers.traceparent);
  headers.traceparent = traceparent;
  return { traceparent, span };
}

/** Ends the span when the request has been answered, or when its client has gone. */
export function endWithAnswer({ span }: RequestTrace, response: ServerResponse): void {
  if (span) response.once('close', () => endNow(span, response));
}

/** Ends the span of an event stream, which has been answered when it begins. */
export function endWithHeaders({ span }: RequestTrace, response: ServerResponse): void {
  if (span) endNow(span, response);
}

function endNow(span: Span, { headersSent, statusCode }: ServerResponse): void {
  if (headersSent) span.set({ 'http.response.status_code': statusCode });
  const failure = statusCode >= 500 ? String(statusCode) : undefined;
  span.end(headersSent ? failure : 'client_gone');
}

/** Ends the span of an upgrade, which is always accepted. @param closeCode with which it was closed at once; left out: it was joined. */
export function endUpgrade({ span }: RequestTrace, closeCode?: number): void {
  if (!span) return;
  span.set({ 'http.response.status_code': 101, 'penstock.close_code': closeCode });
  // Codes of the sub-protocol from 4400 on are the client's faults.
  span.end(closeCode === undefined || closeCode >= 4_400 ? undefined : String(closeCode));
}
