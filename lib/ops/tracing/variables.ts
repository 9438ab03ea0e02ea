import { env } from '../config.ts';

/**
 * The section `tracing` of the catalogue. The variables of OpenTelemetry's own SDKs (`OTEL_*`) are not read: they are not checked at
 * start, they have no form for a secret in a file, and where they are set for all software of a machine they would switch this on.
 */
export const tracingVariables = {
  endpoint: {
    schema: env
      .url()
      .refine(text => /^https?:/i.test(text), 'must be an http or https URL')
      .optional(),
    doc: "base URL of a collector of OpenTelemetry's traces (OTLP over HTTP, JSON): spans go to `<base URL>/v1/traces`; nothing is traced when it is not set",
  },
  headers: {
    schema: env.pairs(/^[\w!#$%&'*+.^`|~-]+$/).default({}),
    doc: 'headers of requests to the collector, name=value comma-separated, values may be percent-encoded',
    secret: true,
  },
  tlsCaFile: {
    schema: env.file(),
    doc: 'PEM file of the certificate authority, for https; default: those of Node.js',
  },
  sampleRatio: {
    schema: env.decimal(0, 1).default(1),
    doc: 'share of the traces that begin here of which spans are sent; in a trace that a client has begun, the sampled flag of its `traceparent` decides',
  },
  resourceAttributes: {
    schema: env.pairs(/^[\w.-]+$/).default({}),
    doc: 'further attributes of the process that sends spans, name=value comma-separated; `service.name` replaces `penstock-<service>`',
  },
  queueSpans: {
    schema: env.integer(512, 1_000_000).default(2_048),
    doc: 'spans that wait to be sent; a further one is dropped and counted',
  },
  intervalMs: {
    schema: env.integer(10, 600_000).default(5_000),
    doc: 'longest time that a span waits to be sent together with others, ms',
  },
  timeoutMs: {
    schema: env.integer(100, 600_000).default(10_000),
    doc: 'how long the collector may take for one batch of spans, further attempts included, ms',
  },
} as const;
