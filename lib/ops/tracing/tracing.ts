import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { Counter, type Registry } from 'prom-client';
import packageJson from '../../../package.json' with { type: 'json' };
import { messageOf } from '../../errors.ts';
import type { PenstockConfig } from '../catalogue.ts';
import type { Closable } from '../life-cycle.ts';
import type { Logger } from '../log.ts';
import type { Tracer } from './tracer.ts';

export interface Tracing extends Closable {
  /** Undefined where nothing is traced. */
  tracer: Tracer | undefined;
  /** Sends what waits, within a part of the drain. */
  close(): Promise<void>;
}

export interface TracingOptions {
  service: string;
  config: Partial<PenstockConfig<'tracing'>> & PenstockConfig<'drain'>;
  log: Logger;
  metrics: Registry;
}

/** Longest time that a drain waits for the collector, ms, and the part of the drain that it is at most. */
const flushMs = 1_000;
const flushShare = 0.1;

/** Sends traces where an endpoint is configured; else nothing is loaded that traces need. */
export async function openTracing({ service, config, log, metrics }: TracingOptions): Promise<Tracing> {
  const { tracing } = config;
  if (tracing?.endpoint === undefined) return { tracer: undefined, close: async () => {} };
  const { endpoint, tlsCaFile, sampleRatio, queueSpans, intervalMs, timeoutMs } = tracing;
  const { openOtlpTracer, tracesUrl } = await import('./otlp.ts');
  const counters = openCounters(metrics);
  const url = tracesUrl(endpoint);
  let failing = false;
  const otlp = openOtlpTracer({
    ...{ endpoint, tlsCaFile, sampleRatio, queueSpans, intervalMs, timeoutMs },
    headers: () => tracing.headers,
    resource: {
      'service.name': `penstock-${service}`,
      'service.version': packageJson.version,
      'service.instance.id': randomUUID(),
      'host.name': hostname(),
      'process.pid': process.pid,
      ...tracing.resourceAttributes,
    },
    onExported(spans) {
      counters.exported.inc(spans);
      if (failing) log.info({ event: 'traces_sent_again', url }, 'the collector takes traces again');
      failing = false;
    },
    onDropped(spans, reason, error) {
      counters.dropped.inc({ reason }, spans);
      if (reason === 'queue' || failing) return;
      failing = true;
      const line = { event: 'traces_dropped', url, reason: messageOf(error) } as const;
      log.warn(line, 'the collector does not take traces: they are dropped until it does');
    },
  });
  log.info({ event: 'traces_sent', url, sampleRatio }, 'traces are sent');
  return {
    tracer: otlp.tracer,
    async close() {
      const patienceMs = Math.min(flushMs, config.drain.timeoutMs * flushShare);
      // What is refused has been counted and logged as such.
      await Promise.race([otlp.flush().catch(() => undefined), sleep(patienceMs, undefined, { ref: false })]);
      const spans = otlp.waiting();
      if (spans > 0)
        log.warn({ event: 'traces_lost', url, spans }, 'the collector did not take the last traces in time');
    },
  };
}

function openCounters(registry: Registry) {
  return {
    exported: new Counter({
      name: 'penstock_traces_exported_total',
      help: 'Spans that the collector has taken',
      registers: [registry],
    }),
    dropped: new Counter({
      name: 'penstock_traces_dropped_total',
      help: 'Spans that the collector will never get: the queue was full, or it did not take them (export)',
      labelNames: ['reason'],
      registers: [registry],
    }),
  };
}
