import { createServer, type Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';
import { Gauge, type Registry } from 'prom-client';

/** What keeps a process from being ready: a part's name and its reason, or nothing. */
export interface Readiness {
  /** Sets or clears the reason of one part; a process is ready when no part has one. */
  set(part: string, reason: string | undefined): void;
  reasons(): Readonly<Record<string, string>>;
  /** Sets or clears what an operator should know of one part of a process that works all the same. */
  warn(part: string, warning: string | undefined): void;
  warnings(): Readonly<Record<string, string>>;
}

export interface AdminPort {
  url: string;
  close(): Promise<void>;
}

export function openReadiness(): Readiness {
  const reasons = new Map<string, string>();
  const warnings = new Map<string, string>();
  const note = (to: Map<string, string>) => (part: string, text: string | undefined) => {
    if (text === undefined) to.delete(part);
    else to.set(part, text);
  };
  return {
    set: note(reasons),
    reasons: () => Object.fromEntries(reasons),
    warn: note(warnings),
    warnings: () => Object.fromEntries(warnings),
  };
}

/** Adds the gauge of what keeps this process from being ready. A reason that there is now, or was at a scrape, stays as 0. */
export function gaugeReadiness(registry: Registry, readiness: Readiness): void {
  const seen = new Set<string>(Object.keys(readiness.reasons()));
  new Gauge({
    name: 'penstock_not_ready',
    help: '1 while this reason of /readyz keeps the process from being ready',
    labelNames: ['reason'],
    registers: [registry],
    collect() {
      const now = readiness.reasons();
      for (const reason of Object.keys(now)) seen.add(reason);
      for (const reason of seen) this.set({ reason }, now[reason] === undefined ? 0 : 1);
    },
  });
}

/**
 * Serves `/livez`, `/readyz` (200 or 503 with JSON reasons, either with warnings) and `/metrics` (Prometheus text). `/readyz?exclude=redis&exclude=kafka`
 * leaves out what those parts say, as the probes of Kubernetes' own API server do.
 */
export async function serveAdmin(
  address: { host: string; port: number },
  readiness: Readiness,
  metrics: Registry,
): Promise<AdminPort> {
  const server: Server = createServer((request, response) => {
    const [path, query] = (request.url ?? '/').split('?');
    if (path === '/livez') return answer(200, { status: 'live' });
    if (path === '/readyz') {
      const excluded = new URLSearchParams(query).getAll('exclude');
      const reasons = Object.fromEntries(
        Object.entries(readiness.reasons()).filter(([part]) => !excluded.includes(part)),
      );
      const ready = Object.keys(reasons).length === 0;
      const status = ready ? { status: 'ready' } : { status: 'not ready', reasons };
      const warnings = readiness.warnings();
      return answer(ready ? 200 : 503, Object.keys(warnings).length === 0 ? status : { ...status, warnings });
    }
    if (path === '/metrics') {
      metrics.metrics().then(
        body => response.writeHead(200, { 'content-type': metrics.contentType }).end(body),
        () => answer(500, { errors: [{ message: 'metrics could not be collected' }] }),
      );
      return;
    }
    answer(404, { errors: [{ message: 'only /livez, /readyz and /metrics live here' }] });

    function answer(status: number, body: object): void {
      response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://${isIPv6(address.host) ? `[${address.host}]` : address.host}:${port}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}
