import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';

/** A span as a collector sees it. */
export interface CollectedSpan {
  /** `service.name` of who sent it. */
  service: string;
  traceId: string;
  spanId: string;
  /** Empty for the root of a trace. */
  parentSpanId: string;
  name: string;
  kind: 'internal' | 'server' | 'client' | 'producer' | 'consumer';
  attributes: Readonly<Record<string, string | number>>;
  failed: boolean;
  durationMs: number;
}

/** A collector of traces, OTLP over HTTP in JSON: takes requests for `/v1/traces` and keeps what they hold. */
export interface TraceCollector {
  /** Base URL. */
  url: string;
  /** In the order in which they came. */
  spans: CollectedSpan[];
  /** Everything that was sent, as text. */
  text(): string;
  /** Headers of the last request. */
  headers(): IncomingHttpHeaders;
  /** What requests are answered with from now on; undefined: nothing, ever. */
  answerWith(status: number | undefined): void;
  /** Nobody listens any more. */
  close(): Promise<void>;
}

const attribute = z.object({
  key: z.string(),
  value: z.object({ stringValue: z.string().optional(), intValue: z.coerce.number().optional() }),
});
const attributes = z
  .array(attribute)
  .transform(list =>
    Object.fromEntries(list.map(({ key, value }) => [key, value.stringValue ?? value.intValue ?? ''])),
  );
const kinds = ['internal', 'internal', 'server', 'client', 'producer', 'consumer'] as const;
const exported = z.object({
  resourceSpans: z.array(
    z.object({
      resource: z.object({ attributes }),
      scopeSpans: z.array(
        z.object({
          spans: z.array(
            z.object({
              traceId: z.string().regex(/^[0-9a-f]{32}$/),
              spanId: z.string().regex(/^[0-9a-f]{16}$/),
              parentSpanId: z.string().default(''),
              name: z.string(),
              kind: z.number().transform(kind => kinds[kind] ?? 'internal'),
              attributes,
              status: z.object({ code: z.number().default(0) }),
              startTimeUnixNano: z.coerce.bigint(),
              endTimeUnixNano: z.coerce.bigint(),
            }),
          ),
        }),
      ),
    }),
  ),
});

/** @param port default: a free one. */
export async function openTraceCollector(port = 0): Promise<TraceCollector> {
  const spans: CollectedSpan[] = [];
  const texts: string[] = [];
  let headers: IncomingHttpHeaders = {};
  let status: number | undefined = 200;
  const server = createServer(async (request, response) => {
    headers = request.headers;
    const text = Buffer.concat(await request.toArray()).toString('utf8');
    if (status === undefined) return;
    if (request.url !== '/v1/traces') return void response.writeHead(404).end();
    if (status === 200) keep(text);
    response.writeHead(status, { 'content-type': 'application/json' }).end('{}');
  });
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    spans,
    text: () => texts.join('\n'),
    headers: () => headers,
    answerWith(now) {
      status = now;
    },
    async close() {
      server.closeAllConnections();
      if (server.listening) await new Promise(resolve => server.close(resolve));
    },
  };

  function keep(text: string): void {
    texts.push(text);
    for (const { resource, scopeSpans } of exported.parse(JSON.parse(text)).resourceSpans) {
      const service = String(resource.attributes['service.name']);
      for (const each of scopeSpans.flatMap(scope => scope.spans)) {
        const { status, startTimeUnixNano, endTimeUnixNano, ...span } = each;
        const durationMs = Number(endTimeUnixNano - startTimeUnixNano) / 1e6;
        spans.push({ ...span, service, failed: status.code === 2, durationMs });
      }
    }
  }
}

/** Spans of one trace as lines, each below its parent and two spaces behind it, siblings by name. */
export function traceTree(spans: readonly CollectedSpan[]): string[] {
  const known = new Set(spans.map(({ spanId }) => spanId));
  const childrenOf = (parent: string | undefined): CollectedSpan[] =>
    spans
      .filter(({ parentSpanId }) => (parent === undefined ? !known.has(parentSpanId) : parentSpanId === parent))
      .sort((a, b) => a.name.localeCompare(b.name));
  const linesOf = (span: CollectedSpan): string[] => [
    `${span.service}: ${span.kind} ${span.name}`,
    ...childrenOf(span.spanId)
      .flatMap(linesOf)
      .map(line => `  ${line}`),
  ];
  return childrenOf(undefined).flatMap(linesOf);
}
