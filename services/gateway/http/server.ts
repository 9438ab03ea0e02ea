import { type IncomingMessage, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { closeCodes, limitExceeded, PenstockError } from '../../../lib/errors.ts';
import type { Closable, LimitRefusals, Logger } from '../../../lib/ops/index.ts';
import type { Engine } from '../graphql/engine.ts';
import type { ErrorFormatter } from '../graphql/errors.ts';
import type { Placement } from '../placement.ts';
import { acceptAndClose, closingFor, type WebSockets } from '../ws/server.ts';
import { sendRefusal } from './answers.ts';
import { HttpRefusal } from './body.ts';
import { listenOn } from './listen.ts';
import { oneHeader, type Requests } from './requests.ts';

/** The paths at which a schema is served: the app's, and the console's built-in one. */
export const paths = { app: '/graphql', console: '/console/graphql' } as const;
const nowhere = `only ${Object.values(paths).join(' and ')} are served here`;

/** What answers once everything that it needs is there. */
export interface Service {
  /** By path. */
  engines: ReadonlyMap<string, Engine>;
  requests: Requests;
  webSockets: WebSockets;
  placement: Placement;
}

export interface GatewayServer extends Closable {
  /** Base URL of the first address. */
  url: string;
  /** From now on requests are served; before they get UNAVAILABLE, and WebSockets close code 1013. */
  serve(service: Service): void;
  /**
   * From now on nobody new is served but who comes by a router, which knows no other owner yet ({@link Placement}); it is
   * told to ask again as soon as there is one. Others are told to come back.
   */
  drain(): void;
  /** Ends idle connections and waits for requests under way, bounded. */
  close(): Promise<void>;
}

/** How long `close` waits for requests under way. */
const patienceMs = 3_000;

export interface GatewayServerOptions {
  addresses: readonly string[];
  maxHeaderBytes: number;
  refusals: LimitRefusals;
  webSocketServer: WebSocketServer;
  format: ErrorFormatter;
  log: Logger;
}

/** @throws Error naming an address that can't be had. */
export async function openGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const { addresses, maxHeaderBytes, refusals, webSocketServer, format, log } = options;
  let service: Service | undefined;
  let draining = false;
  const { servers, urls } = await listenOn(addresses, maxHeaderBytes, (request, response) => {
    answer(request, response).catch((error: unknown) => {
      const { traceparent } = request.headers;
      log.error({ event: 'request_failed', error, traceparent }, 'a request could not be answered');
    });
  });
  for (const server of servers) {
    server.on('clientError', refuseMalformed);
    server.on('upgrade', (request: IncomingMessage, wire: Duplex, head: Buffer) => {
      // Before the first await: a client may go at any time.
      wire.on('error', () => wire.destroy());
      upgrade(request, wire, head).catch((error: unknown) => {
        const { traceparent } = request.headers;
        log.error({ event: 'upgrade_failed', error, traceparent }, 'an upgrade could not be answered');
        wire.destroy();
      });
    });
  }
  return {
    url: urls[0] ?? '',
    serve(now) {
      service = now;
    },
    drain() {
      draining = true;
    },
    async close() {
      draining = true;
      await Promise.all(
        servers.map(async server => {
          if (!server.listening) return;
          const closed = new Promise<void>(resolve => server.close(() => resolve()));
          server.closeIdleConnections();
          const impatience = setTimeout(() => server.closeAllConnections(), patienceMs);
          await closed;
          clearTimeout(impatience);
        }),
      );
    },
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = urlOf(request);
    if (!isServed(url)) {
      const error = new PenstockError('BAD_USER_INPUT', nowhere);
      return sendRefusal(response, new HttpRefusal(404, error), format);
    }
    const unavailable = whyNot(oneHeader(request, 'penstock-route'));
    if (unavailable) return sendRefusal(response, unavailable, format);
    const engine = service?.engines.get(url.pathname);
    if (engine) await service?.requests(request, response, url, engine);
  }

  async function upgrade(request: IncomingMessage, wire: Duplex, head: Buffer): Promise<void> {
    const url = urlOf(request);
    if (!isServed(url)) return refuseOnWire(wire, 404, new PenstockError('BAD_USER_INPUT', nowhere));
    const routed = oneHeader(request, 'penstock-route');
    const routeToken = routed ?? url.searchParams.get('route') ?? undefined;
    try {
      const unavailable = whyNot(routed);
      if (unavailable) throw unavailable;
      const route = await service?.placement.admit(routeToken);
      const engine = service?.engines.get(url.pathname);
      if (engine && !wire.destroyed) service?.webSockets.accept([request, wire, head], route, engine);
    } catch (error) {
      if (wire.destroyed) return;
      if (error instanceof PenstockError && error.code === 'NOT_OWNER') {
        return refuseOnWire(wire, 421, error);
      }
      const { traceparent } = request.headers;
      if (!(error instanceof PenstockError)) {
        log.error({ event: 'route_token_check_failed', error, traceparent }, 'a route token could not be verified');
      }
      const [code, reason] = draining ? ([closeCodes.restart, 'this replica is leaving'] as const) : closingFor(error);
      acceptAndClose(webSocketServer, [request, wire, head], code, reason);
    }
  }

  /** Before there is a request that could be answered. */
  function refuseMalformed({ code }: NodeJS.ErrnoException, wire: Duplex): void {
    if (code === 'ECONNRESET' || !wire.writable) wire.destroy();
    else if (code === 'HPE_HEADER_OVERFLOW') {
      refusals.count('PENSTOCK_HTTP_MAX_HEADER_BYTES', 'http');
      const why = `the headers have more than ${maxHeaderBytes} bytes`;
      refuseOnWire(wire, 431, limitExceeded('PENSTOCK_HTTP_MAX_HEADER_BYTES', why));
    } else {
      const status = code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
      refuseOnWire(wire, status, new PenstockError('BAD_USER_INPUT', 'the request is malformed or too slow'));
    }
  }

  /** A router is told to ask again: another replica may own the partition by now. */
  function whyNot(routeToken: string | undefined): PenstockError | undefined {
    if (service && (!draining || routeToken !== undefined)) return undefined;
    const why = draining ? 'this replica is leaving' : 'this replica is starting';
    return new PenstockError(routeToken === undefined ? 'UNAVAILABLE' : 'NOT_OWNER', why);
  }
}

function urlOf(request: IncomingMessage): URL | undefined {
  return URL.parse(request.url ?? '', 'http://gateway') ?? undefined;
}

function isServed(url: URL | undefined): url is URL {
  return Object.values<unknown>(paths).includes(url?.pathname);
}

/** Where there is no response object. */
function refuseOnWire(wire: Duplex, status: number, { message, code, extensions }: PenstockError): void {
  const body = JSON.stringify({ errors: [{ message, extensions: { ...extensions, code } }] });
  wire.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\ncontent-type: application/json\r\n` +
      `content-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  );
}
