import pino from 'pino';
import { Registry } from 'prom-client';
import { openReadiness } from '../../lib/ops/admin.ts';
import type { Ops } from '../../lib/ops/index.ts';

/** What a part is given in a test: real readiness and metrics, a log that says nothing unless TEST_LOG is set. */
export function quietOps(service = 'test'): Ops {
  const readiness = openReadiness();
  return {
    service,
    log: pino({ level: process.env.TEST_LOG ?? 'silent', serializers: { error: pino.stdSerializers.err } }),
    metrics: new Registry(),
    tracer: undefined,
    readiness,
    adminUrl: 'http://127.0.0.1:0',
    drainTimeoutMs: 5_000,
    onDraining: () => readiness.set('drain', 'draining'),
    close: () => Promise.resolve(),
  };
}
