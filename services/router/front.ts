import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { limitExceeded } from '../../lib/errors.ts';
import { type Closable, type LimitRefusals, type Logger, listenTogether } from '../../lib/ops/index.ts';
import { answerError } from './answers.ts';
import { endWithError } from './refusals.ts';

export interface FrontOptions {
  /** Addresses `host:port`; port 0 takes a free one. */
  listen: readonly string[];
  maxConnections: number;
  maxHeaderBytes: number;
  refusals: LimitRefusals;
  /** From the beginning of a drain until whoever is still connected is cut off, ms. */
  drainMs: number;
  /** Longest time in which a request's headers must be there, ms; default 10,000. */
  headersTimeoutMs?: number;
  /** Longest time in which a whole request must be there, ms; default 30,000. */
  requestTimeoutMs?: number;
}

export type UpgradeHandler = (request: IncomingMessage, socket: Socket, head: Buffer) => void;

/** A stream of unknown length that goes through the router: a joined WebSocket, an event stream. */
export interface Passage {
  /** Base URL of the gateway at its other end. */
  readonly gateway: string;
  /** Tells the client to go elsewhere as soon as that can be said in its protocol. */
  leave(): void;
  /** The gateway is dead: tells the client to go elsewhere, or breaks off where that can't be said now. */
  abandon(): void;
}

/** What is common to all addresses: who is connected, whether the router is leaving. */
export interface FrontState {
  connections: Set<Socket>;
  /** Connections beyond the limit: they get a refusal and nothing else. */
  refused: WeakSet<Duplex>;
  passages: Set<Passage>;
  /** Requests and upgrades that a gateway has not answered yet. */
  attempts: Set<Pick<Passage, 'gateway' | 'abandon'>>;
  draining: boolean;
}

export function frontState(): FrontState {
  return { connections: new Set(), refused: new WeakSet(), passages: new Set(), attempts: new Set(), draining: false };
}

/** Beyond the limit, connections whose first request is refused; any more are before they have said anything. */
const refusable = 256;
/** Longer than the idle time of usual load balancers (60 s), so that it is they who close. */
const keepAliveTimeoutMs = 65_000;
/**
 * Clients are told to go elsewhere spread over this much of a drain, so that they do not all come at once. Kept connections without a
 * request stay open for as long: a request that is on its way over one would be lost.
 */
const spreadMs = 2_000;
/** The clients of a gateway that died in silence are told so spread over this time. */
const abandonSpreadMs = 100;
/** While draining, how often connections are closed that have become idle. */
const sweepIntervalMs = 100;

export interface Front extends Closable {
  /** Base URLs of all addresses, in the order of `listen`. */
  urls: readonly string[];
}

/** Serves requests and upgrades on every address. */
export async function openFront(
  {
    listen,
    maxConnections,
    maxHeaderBytes,
    refusals,
    drainMs,
    headersTimeoutMs = 10_000,
    requestTimeoutMs = 30_000,
  }: FrontOptions,
  state: FrontState,
  onRequest: (request: IncomingMessage, response: ServerResponse) => Promise<void>,
  onUpgrade: UpgradeHandler,
  log: Logger,
): Promise<Front> {
  const openServer = (): Server => {
    const server = createServer(
      {
        maxHeaderSize: maxHeaderBytes,
        headersTimeout: headersTimeoutMs,
        requestTimeout: requestTimeoutMs,
        connectionsCheckingInterval: Math.min(1_000, headersTimeoutMs),
        keepAliveTimeout: keepAliveTimeoutMs,
        noDelay: true,
        keepAlive: true,
        keepAliveInitialDelay: 30_000,
        // Any other upgrade that a client proposes (h2c) is optional: the request is answered over HTTP/1.1.
        shouldUpgradeCallback: request => request.headers.upgrade?.toLowerCase() === 'websocket',
      },
      (request, response) => {
        // Refused as a connection, before it was heard.
        if (request.socket.writableEnded) return;
        if (state.draining) response.shouldKeepAlive = false;
        if (state.refused.has(request.socket)) {
          refusals.count('PENSTOCK_ROUTE_MAX_CONNECTIONS', 'http');
          response.shouldKeepAlive = false;
          answerError(response, tooManyConnections());
          return;
        }
        void onRequest(request, response);
      },
    );
    server.maxHeadersCount = 200;
    server.on('connection', socket => {
      if (state.connections.size >= maxConnections + refusable) {
        refusals.count('PENSTOCK_ROUTE_MAX_CONNECTIONS', 'http');
        socket.on('error', () => undefined);
        endWithError(socket, 429, tooManyConnections());
        return;
      }
      if (state.connections.size >= maxConnections) state.refused.add(socket);
      state.connections.add(socket);
      socket.once('close', () => state.connections.delete(socket));
    });
    server.on('upgrade', (request, socket, head) => onUpgrade(request, socket as Socket, head));
    server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      if (error.code === 'ECONNRESET') socket.destroy();
      else if (error.code === 'HPE_HEADER_OVERFLOW') {
        refusals.count('PENSTOCK_HTTP_MAX_HEADER_BYTES', 'http');
        const why = `the headers have more than ${maxHeaderBytes} bytes`;
        endWithError(socket, 431, limitExceeded('PENSTOCK_HTTP_MAX_HEADER_BYTES', why));
      } else endWithError(socket, statusOfClientError(error.code), 'the request is malformed or too slow');
    });
    return server;
  };
  const servers: Server[] = [];
  const urls: string[] = [];
  for (const address of listen) {
    const listening = await listenTogether(address, openServer);
    for (const server of listening.servers) servers.push(server);
    urls.push(listening.url);
  }
  for (const server of servers)
    server.on('error', error => log.error({ event: 'listening_socket_failed', error }, 'a listening socket failed'));
  log.info({ event: 'service_ready', urls }, 'serving');

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    state.draining = true;
    const closed = servers.map(server => new Promise<void>(resolve => stopListening(server, resolve)));
    const goneMs = Math.min(spreadMs, drainMs / 2);
    for (const passage of state.passages) setTimeout(() => passage.leave(), Math.random() * goneMs);
    const beganMs = performance.now();
    const sweep = setInterval(() => {
      if (performance.now() - beganMs < goneMs) return;
      for (const server of servers) server.closeIdleConnections();
    }, sweepIntervalMs);
    const cutOff = setTimeout(() => {
      if (state.connections.size > 0)
        log.warn({ event: 'clients_cut_off', connections: state.connections.size }, 'cutting off clients');
      for (const socket of state.connections) socket.destroy();
    }, drainMs);
    // Upgraded sockets do not count for server.close().
    const gone = Promise.all([...state.connections].map(closedSocket));
    await Promise.all([...closed, gone]);
    clearTimeout(cutOff);
    clearInterval(sweep);
  };
  return {
    urls,
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/** As `server.close`, which would close the connections that have no request just now as well. */
function stopListening(server: Server, closed: () => void): void {
  NetServer.prototype.close.call(server, closed);
}

/** Asks a gateway; the signal says that it is dead, and will not answer any more. */
export async function attemptAt<Result>(
  state: FrontState,
  gateway: string,
  run: (dead: AbortSignal) => Promise<Result>,
): Promise<Result> {
  const dead = new AbortController();
  const attempt = { gateway, abandon: () => dead.abort() };
  state.attempts.add(attempt);
  try {
    return await run(dead.signal);
  } finally {
    state.attempts.delete(attempt);
  }
}

/** What is joined to a dead gateway would hang until TCP gives up. */
export function abandonGateway(state: FrontState, address: string): void {
  for (const attempt of state.attempts) if (attempt.gateway === address) attempt.abandon();
  for (const passage of state.passages) {
    if (passage.gateway === address) setTimeout(() => passage.abandon(), Math.random() * abandonSpreadMs);
  }
}

function tooManyConnections() {
  return limitExceeded('PENSTOCK_ROUTE_MAX_CONNECTIONS', 'too many connections');
}

function closedSocket(socket: Socket): Promise<void> {
  return new Promise(resolve => {
    if (socket.closed) resolve();
    else socket.once('close', () => resolve());
  });
}

function statusOfClientError(code: string | undefined): number {
  return code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400;
}
