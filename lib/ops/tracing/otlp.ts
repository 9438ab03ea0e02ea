import { readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { type Context, ROOT_CONTEXT, type Span as SdkSpan, SpanKind, SpanStatusCode, trace } from '@opentelemetry/api';
import { OTLPTraceExporter } from '@opentelemetry/exporter-trace-otlp-http';
import { defaultResource, resourceFromAttributes } from '@opentelemetry/resources';
import {
  BatchSpanProcessor,
  ParentBasedSampler,
  type ReadableSpan,
  type SpanExporter,
  type SpanProcessor,
  TraceIdRatioBasedSampler,
  TracerProvider,
} from '@opentelemetry/sdk-trace';
import { isSampled, isTraceparent, randomHex, traceparentOf } from '../trace.ts';
import type { Attributes, Span, Tracer } from './tracer.ts';

export interface OtlpOptions {
  /** Base URL of the collector. */
  endpoint: string;
  /** Asked for with each request: they may come from a file that changes. */
  headers(): Readonly<Record<string, string>>;
  tlsCaFile: string | undefined;
  sampleRatio: number;
  /** Attributes of this process. */
  resource: Readonly<Record<string, string | number>>;
  queueSpans: number;
  intervalMs: number;
  timeoutMs: number;
  /** Told of spans that the collector has taken. */
  onExported(spans: number): void;
  /** Told of spans that it will never get: the queue was full, or it did not take them. */
  onDropped(spans: number, why: 'queue' | 'export', error?: unknown): void;
}

export interface OtlpTracer {
  tracer: Tracer;
  /** Spans that are recorded and neither exported nor dropped. */
  waiting(): number;
  /** Sends what waits. Rejects where the collector does not take it. */
  flush(): Promise<void>;
}

/** Spans of one request to the collector. */
const batchSpans = 512;
/** The exporter gives up by itself; the queue waits a little longer than that, ms. */
const graceMs = 1_000;

/** Opens a tracer that sends its spans to a collector, in batches and behind everything else. Nothing of it is global. */
export function openOtlpTracer(options: OtlpOptions): OtlpTracer {
  const { queueSpans, intervalMs, timeoutMs } = options;
  const counted = countSpans(openExporter(options), options);
  const batches = new BatchSpanProcessor({
    exporter: counted.exporter,
    maxQueueSize: queueSpans,
    maxExportBatchSize: batchSpans,
    scheduledDelayMillis: intervalMs,
    exportTimeoutMillis: timeoutMs + graceMs,
  });
  const provider = new TracerProvider({
    resource: defaultResource().merge(resourceFromAttributes(options.resource)),
    sampler: new ParentBasedSampler({ root: new TraceIdRatioBasedSampler(options.sampleRatio) }),
    idGenerator: { generateTraceId: () => randomHex(16), generateSpanId: () => randomHex(8) },
    spanProcessors: [counted.before(batches)],
  });
  const sdk = provider.getTracer('penstock');
  return {
    tracer: {
      begin(kind, name, parent, attributes, startTime) {
        // The sampler would say the same, at several times the cost: this is the usual case where a small share is recorded.
        if (isTraceparent(parent) && !isSampled(parent)) return unrecorded(traceparentOf(parent));
        const options = { kind: kinds[kind], attributes: present(attributes), ...(startTime && { startTime }) };
        return new OtlpSpan(sdk.startSpan(name, options, contextOf(parent)));
      },
    },
    waiting: counted.waiting,
    flush: () => provider.shutdown(),
  };
}

const kinds = { server: SpanKind.SERVER, producer: SpanKind.PRODUCER, consumer: SpanKind.CONSUMER };

function unrecorded(traceparent: string): Span {
  return { traceparent, set: ignore, end: ignore };
}

function ignore(): void {}

class OtlpSpan implements Span {
  readonly traceparent: string;
  readonly #span: SdkSpan;

  constructor(span: SdkSpan) {
    const { traceId, spanId, traceFlags } = span.spanContext();
    this.traceparent = `00-${traceId}-${spanId}-0${traceFlags & 1}`;
    this.#span = span;
  }

  set(attributes: Attributes): void {
    if (this.#span.isRecording()) this.#span.setAttributes(present(attributes));
  }

  end(errorType?: string): void {
    if (!this.#span.isRecording()) return;
    if (errorType !== undefined) {
      this.#span.setAttribute('error.type', errorType);
      this.#span.setStatus({ code: SpanStatusCode.ERROR });
    }
    this.#span.end();
  }
}

/** The SDK would keep a name without a value. */
function present(attributes: Attributes = {}): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(attributes)) if (value !== undefined) found[name] = value;
  return found;
}

/** The process that began the parent is another one, or is treated as such: what it decided about sampling holds. */
function contextOf(parent: unknown): Context {
  if (!isTraceparent(parent)) return ROOT_CONTEXT;
  return trace.setSpanContext(ROOT_CONTEXT, {
    traceId: parent.slice(3, 35),
    spanId: parent.slice(36, 52),
    traceFlags: Number.parseInt(parent.slice(53), 16),
    isRemote: true,
  });
}

function openExporter({ endpoint, headers, tlsCaFile, timeoutMs }: OtlpOptions): SpanExporter {
  const ca = tlsCaFile === undefined ? undefined : readFileSync(tlsCaFile);
  const agent = { keepAlive: true };
  return new OTLPTraceExporter({
    url: tracesUrl(endpoint),
    headers: async () => ({ ...headers() }),
    timeoutMillis: timeoutMs,
    httpAgentOptions: protocol =>
      protocol === 'https:' ? new https.Agent({ ...agent, ...(ca && { ca }) }) : new http.Agent(agent),
  });
}

/** The path at which a collector takes traces: https://opentelemetry.io/docs/specs/otlp/#otlphttp-request */
export function tracesUrl(endpoint: string): string {
  return `${endpoint.replace(/\/+$/, '')}/v1/traces`;
}

/**
 * Counts what becomes of spans. The SDK tells nobody but its debug log of a span for which its queue has no room: so the queue is
 * counted here, and what would be one too many does not reach it.
 */
function countSpans(exporter: SpanExporter, { queueSpans, onExported, onDropped }: OtlpOptions) {
  let queued = 0;
  let waiting = 0;
  const counting: SpanExporter = {
    export(spans, done) {
      queued -= spans.length;
      exporter.export(spans, result => {
        waiting -= spans.length;
        if (result.code === 0) onExported(spans.length);
        else onDropped(spans.length, 'export', result.error);
        done(result);
      });
    },
    forceFlush: async () => exporter.forceFlush?.(),
    shutdown: () => exporter.shutdown(),
  };
  return {
    exporter: counting,
    waiting: () => waiting,
    before: (next: SpanProcessor): SpanProcessor => ({
      onStart: () => undefined,
      onEnd(span: ReadableSpan) {
        if ((span.spanContext().traceFlags & 1) === 0) return;
        if (queued >= queueSpans) return onDropped(1, 'queue');
        queued++;
        waiting++;
        next.onEnd(span);
      },
      forceFlush: () => next.forceFlush(),
      shutdown: () => next.shutdown(),
    }),
  };
}
