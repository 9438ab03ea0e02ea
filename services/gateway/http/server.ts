import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Duplex } from 'node:stream';
import type { WebSocketServer } from 'ws';
import { closeCodes, PenstockError } from '../../../lib/errors.ts';
import type { Closable, Logger } from '../../../lib/ops/index.ts';
import type { ErrorFormatter } from '../graphql/errors.ts';
import type { Placement } from '../placement.ts';
import { acceptAndClose, closingFor, type WebSockets } from '../ws/server.ts';
import { sendRefusal } from './answers.ts';
import { HttpRefusal } from './body.ts';
import { listenOn } from './listen.ts';
import { oneHeader, type Requests } from './requests.ts';

/** What answers once everything that it needs is there. */
export interface Service {
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
  webSocketServer: WebSocketServer;
  format: ErrorFormatter;
  log: Logger;
}

/** @throws Error naming an address that can't be had. */
export async function openGatewayServer(options: GatewayServerOptions): Promise<GatewayServer> {
  const { addresses, webSocketServer, format, log } = options;
  let service: Service | undefined;
  let draining = false;
  const { servers, urls } = await listenOn(addresses, (request, response) => {
    answer(request, response).catch((error: unknown) => log.error({ error }, 'a request could not be answered'));
  });
  for (const server of servers) {
    server.on('upgrade', (request: IncomingMessage, wire: Duplex, head: Buffer) => {
      // Before the first await: a client may go at any time.
      wire.on('error', () => wire.destroy());
      upgrade(request, wire, head).catch((error: unknown) => {
        log.error({ error }, 'an upgrade could not be answered');
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
    if (url?.pathname !== '/graphql') {
      const error = new PenstockError('BAD_USER_INPUT', 'only /graphql is served here');
      return sendRefusal(response, new HttpRefusal(404, error), format);
    }
    const unavailable = whyNot(oneHeader(request, 'penstock-route'));
    if (unavailable) return sendRefusal(response, unavailable, format);
    await service?.requests(request, response, url);
  }

  async function upgrade(request: IncomingMessage, wire: Duplex, head: Buffer): Promise<void> {
    const url = urlOf(request);
    if (url?.pathname !== '/graphql') return refuseUpgrade(wire, 404, 'Not Found', 'BAD_USER_INPUT');
    const routed = oneHeader(request, 'penstock-route');
    const routeToken = routed ?? url.searchParams.get('route') ?? undefined;
    try {
      const unavailable = whyNot(routed);
      if (unavailable) throw unavailable;
      const route = await service?.placement.admit(routeToken);
      if (!wire.destroyed) service?.webSockets.accept(request, wire, head, route);
    } catch (error) {
      if (wire.destroyed) return;
      if (error instanceof PenstockError && error.code === 'NOT_OWNER') {
        return refuseUpgrade(wire, 421, 'Misdirected Request', 'NOT_OWNER');
      }
      if (!(error instanceof PenstockError)) log.error({ error }, 'a route token could not be verified');
      const [code, reason] = draining ? ([closeCodes.restart, 'this replica is leaving'] as const) : closingFor(error);
      acceptAndClose(webSocketServer, [request, wire, head], code, reason);
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

function refuseUpgrade(wire: Duplex, status: number, text: string, code: 'NOT_OWNER' | 'BAD_USER_INPUT'): void {
  const body = JSON.stringify({ errors: [{ message: text, extensions: { code } }] });
  wire.end(
    `HTTP/1.1 ${status} ${text}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\n` +
      `connection: close\r\n\r\n${body}`,
  );
}
