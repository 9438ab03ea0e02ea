import pino from 'pino';

export type Logger = pino.Logger;

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

/** One JSON object a line on stderr. Lines carry `service` and, inside a request, `traceparent`. */
export function openLog(service: string, level: string): Logger {
  return pino(
    {
      level,
      base: { service, pid: process.pid },
      messageKey: 'message',
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: label => ({ level: label }) },
      serializers: { error: pino.stdSerializers.err },
      redact: { paths: redacted.flatMap(name => [name, `*.${name}`, `*.*.${name}`]), censor: '[redacted]' },
    },
    pino.destination({ dest: 2, sync: true }),
  );
}
