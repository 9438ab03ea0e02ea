import { Counter, collectDefaultMetrics, Gauge, Registry } from 'prom-client';
import packageJson from '../../package.json' with { type: 'json' };
import { gaugeReadiness, openReadiness, type Readiness, serveAdmin } from './admin.ts';
import type { PenstockConfig } from './catalogue.ts';
import { gaugeCertificates } from './certificates.ts';
import { ConfigError, certificateFilesOf, secretFilesOf } from './config.ts';
import { type Closable, heedSignals } from './life-cycle.ts';
import { type Logger, openLog } from './log.ts';
import { watchSecretFiles } from './secret-files.ts';
import type { Tracer } from './tracing/tracer.ts';
import { openTracing } from './tracing/tracing.ts';
import { openWatchdog, restartsIn } from './watchdog.ts';

/** What every part of a service is given: where to log, count and say that it is not ready. */
export interface Ops extends Closable {
  service: string;
  log: Logger;
  metrics: Registry;
  /** Undefined where nothing is traced: `ops.tracer?.begin(…)`. */
  tracer: Tracer | undefined;
  readiness: Readiness;
  adminUrl: string;
  drainTimeoutMs: number;
  onDraining(): void;
}

/** Opens the log, the watchdog, the metrics registry, the admin port and, with the section `tracing`, the traces of a service. */
export async function openOps(
  service: string,
  config: PenstockConfig<'log' | 'drain' | 'watchdog' | 'admin'> & Partial<PenstockConfig<'tracing'>>,
): Promise<Ops> {
  const log = openLog(service, config.log.level);
  openWatchdog(service, config.watchdog, log);
  const metrics = new Registry();
  collectDefaultMetrics({ register: metrics });
  new Gauge({
    name: 'penstock_build_info',
    help: 'Always 1; the version is the label',
    labelNames: ['version'],
    registers: [metrics],
  }).set({ version: packageJson.version }, 1);
  new Counter({
    name: 'penstock_watchdog_restarts_total',
    help: 'Processes that the watchdog has ended here, as PENSTOCK_WATCHDOG_FILE remembers them',
    registers: [metrics],
  }).inc(restartsIn(config.watchdog.file));
  gaugeCertificates(metrics, certificateFilesOf(config));
  const readiness = openReadiness();
  readiness.set('start', 'starting');
  gaugeReadiness(metrics, readiness);
  const admin = await serveAdmin(config.admin, readiness, metrics);
  log.info({ event: 'admin_listening', admin: admin.url }, 'admin port open');
  const tracing = await openTracing({ service, config, log, metrics });
  const secrets = watchSecretFiles(secretFilesOf(config), log);
  return {
    service,
    log,
    metrics,
    tracer: tracing.tracer,
    readiness,
    adminUrl: admin.url,
    drainTimeoutMs: config.drain.timeoutMs,
    onDraining: () => readiness.set('drain', 'draining'),
    async close() {
      await secrets.close();
      await tracing.close();
      await admin.close();
    },
  };
}

/** Runs a composition root: a refused configuration or a failed start is one line on stderr and exit code 1. */
export function start(service: string, main: () => Promise<void>): void {
  void heedSignals();
  main().catch((error: unknown) => {
    const log = openLog(service, 'info');
    if (error instanceof ConfigError)
      log.fatal({ event: 'configuration_refused', problems: error.problems }, 'configuration refused');
    else
      log.fatal(
        { event: 'start_failed', error },
        `could not start: ${error instanceof Error ? error.message : String(error)}`,
      );
    process.exit(1);
  });
}
