import pino from 'pino';
import type { LogEvent, LogLevel } from './log-events.ts';
import { traceIdOf } from './trace.ts';

/** What a line of a level carries: an event of that level's catalogue, and fields that help to understand this one. */
export type LogFields<Level extends LogLevel> = { readonly event: LogEvent<Level> } & Readonly<Record<string, unknown>>;

/** Writes lines that each carry an event of the catalogue. It is pino's logger behind a narrower type, so that it costs nothing. */
export type Logger = {
  [Level in LogLevel]: (fields: LogFields<Level>, message: string) => void;
} & {
  /** Returns a logger whose lines carry these fields too. */
  child(fields: Readonly<Record<string, unknown>>): Logger;
};

/** Names under which secrets or payloads could slip into a log line; their values are replaced. */
const redacted = [
  'token',
  'accessToken',
  'routeToken',
  'password',
  'authorization',
  'cookie',
  'value',
  'payload',
  'secret',
];

/** One JSON object a line on stderr. Lines carry `service`, `event` and, inside a request, `traceparent` and its `traceId`. */
export function openLog(service: string, level: string): Logger {
  return pino(
    {
      level,
      base: { service, pid: process.pid },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }), log: withTraceId },
      serializers: { error: pino.stdSerializers.err },
      redact: { paths: redacted.flatMap(name => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}

/** Adds the trace id to a line that has a `traceparent`: that is what log stores and trace stores find each other by. */
export function withTraceId(line: Record<string, unknown>): Record<string, unknown> {
  const traceId = line.traceparent === undefined ? undefined : traceIdOf(line.traceparent);
  return traceId === undefined ? line : { ...line, traceId };
}
