/**
 * Spans as the services use them. Nothing here knows OpenTelemetry: its packages are loaded only where traces are sent (otlp.ts). Where
 * they are not, there is no tracer, and `tracer?.begin(…)` costs one comparison: not even its arguments are worked out.
 */

/** The part that a process has in a step: it serves a request, produces a record, or consumes one. */
export type SpanKind = 'server' | 'producer' | 'consumer';

/** Names are those of OpenTelemetry's semantic conventions. Never a token, a payload, a user key or a document. */
export type Attributes = Readonly<Record<string, string | number | undefined>>;

/** One step of a request's way, from when it is begun to when it ends. */
export interface Span {
  /** W3C Trace Context: names this span as the parent of what follows from it. */
  readonly traceparent: string;
  set(attributes: Attributes): void;
  /** @param errorType class of the failure, of which there are few: an error code. Left out: it went well. A second call does nothing. */
  end(errorType?: string): void;
}

export interface Tracer {
  /**
   * @param parent a `traceparent`, as it came: where it is none, a trace begins here.
   * @param startedAtMs time since the epoch; left out: now.
   */
  begin(kind: SpanKind, name: string, parent: unknown, attributes?: Attributes, startedAtMs?: number): Span;
}
