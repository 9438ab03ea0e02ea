import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { GRAPHQL_TRANSPORT_WS_PROTOCOL } from 'graphql-ws';
import { type ServerOptions, type WebSocket, WebSocketServer } from 'ws';
import { type AccessTokenVerifier, type Caller, faultOf, type RouteClaims } from '../../../lib/auth/index.ts';
import { closeCodes, messageOf, PenstockError } from '../../../lib/errors.ts';
import type { Logger, Tracer } from '../../../lib/ops/index.ts';
import type { Clients } from '../clients.ts';
import { whenOver } from '../expiry.ts';
import type { Engine } from '../graphql/engine.ts';
import type { ErrorFormatter } from '../graphql/errors.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { checkBinding, type Placement } from '../placement.ts';
import { connectionTrace } from '../tracing/operations.ts';
import { type Connection, openConnection } from './connection.ts';
import { openProtocol } from './protocol.ts';

export interface WebSocketOptions {
  format: ErrorFormatter;
  accessTokens: AccessTokenVerifier;
  placement: Placement;
  clients: Clients;
  metrics: GatewayMetrics;
  log: Logger;
  tracer: Tracer | undefined;
  partitionOf(userKey: string): number;
  pingIntervalMs: number;
  bufferBytes: number;
  slowTimeoutMs: number;
  maxOperations: number;
  maxOperationIdLength: number;
  maxConnections: number;
  /** Connections that have not said who they are. */
  maxPending: number;
}

export type Upgrade = readonly [request: IncomingMessage, wire: Duplex, head: Buffer];

export interface WebSockets {
  /** Takes an upgrade whose client may be served here: {@link Placement.admit} has let it pass. */
  accept(upgrade: Upgrade, route: RouteClaims | undefined, engine: Engine): void;
}

/** After a close frame the client has this long to answer. */
const closeTimeoutMs = 3_000;

/** A WebSocket server that speaks graphql-transport-ws to whoever is let in. */
export function openWebSocketServer(maxMessageBytes: number): WebSocketServer {
  const options: ServerOptions & { closeTimeout: number } = {
    noServer: true,
    maxPayload: maxMessageBytes,
    perMessageDeflate: false,
    // Two messages of one chunk in one tick could otherwise end an operation and begin one of the same id before
    // graphql-ws has noticed the end.
    allowSynchronousEvents: false,
    handleProtocols: protocols =>
      protocols.has(GRAPHQL_TRANSPORT_WS_PROTOCOL) ? GRAPHQL_TRANSPORT_WS_PROTOCOL : false,
    closeTimeout: closeTimeoutMs,
  };
  return new WebSocketServer(options);
}

/** A router, and a client without one, always gets its upgrade; what is wrong is said by the close code. */
export function acceptAndClose(
  server: WebSocketServer,
  [request, wire, head]: Upgrade,
  code: number,
  reason: string,
): void {
  server.handleUpgrade(request, wire, head, socket => {
    socket.on('error', () => {});
    socket.close(code, reason);
  });
}

export function openWebSockets(server: WebSocketServer, options: WebSocketOptions): WebSockets {
  const { accessTokens, clients, metrics, log, tracer } = options;
  const protocols = new Map<Engine, ReturnType<typeof openProtocol>>();
  /** What is undone when a connection ends. */
  const departures = new WeakMap<Connection, (() => void)[]>();
  const pending = new Set<Connection>();

  return {
    accept([request, wire, head], route, engine) {
      if (server.clients.size >= options.maxConnections) {
        metrics.refusals.count('PENSTOCK_GATEWAY_MAX_CONNECTIONS', 'ws');
        return acceptAndClose(server, [request, wire, head], closeCodes.tryAgainLater, 'too many connections');
      }
      if (pending.size >= options.maxPending) {
        metrics.refusals.count('PENSTOCK_GATEWAY_MAX_PENDING', 'ws');
        return acceptAndClose(server, [request, wire, head], closeCodes.tryAgainLater, 'too many clients at once');
      }
      server.handleUpgrade(request, wire, head, socket =>
        serve(socket, [request, wire, head], route, protocolOf(engine)),
      );
    },
  };

  function protocolOf(engine: Engine): ReturnType<typeof openProtocol> {
    const known = protocols.get(engine);
    if (known) return known;
    const { format, maxOperations, maxOperationIdLength } = options;
    const refused: Parameters<typeof openProtocol>[0]['refused'] = errors => metrics.refusals.countErrors(errors, 'ws');
    const opened = openProtocol({ engine, format, maxOperations, maxOperationIdLength, tracer, refused, welcome });
    protocols.set(engine, opened);
    return opened;
  }

  function serve(
    socket: WebSocket,
    [request, wire]: Upgrade,
    route: RouteClaims | undefined,
    protocol: ReturnType<typeof openProtocol>,
  ): void {
    const connection = openConnection({
      socket,
      wire,
      route,
      traceparent: connectionTrace(tracer, request.headers.traceparent),
      bufferBytes: options.bufferBytes,
      slowTimeoutMs: options.slowTimeoutMs,
      pingIntervalMs: options.pingIntervalMs,
      onSlow: () => metrics.slowClosed.inc(),
    });
    departures.set(connection, []);
    pending.add(connection);
    metrics.connections.inc();
    const closed = protocol.opened(
      {
        protocol: socket.protocol,
        send: connection.send,
        close: (code, reason) => connection.close(code ?? 1000, reason ?? ''),
        onMessage(handle) {
          socket.on('message', data => {
            handle(String(data)).catch((error: unknown) => {
              log.error(
                { event: 'websocket_message_failed', error, traceparent: connection.traceparent },
                'a WebSocket message could not be handled',
              );
              connection.close(4500, 'internal error');
            });
          });
        },
      },
      connection,
    );
    // The close that follows says the rest.
    socket.on('error', error => {
      if (isTooLargeMessage(error)) metrics.refusals.count('PENSTOCK_GATEWAY_MAX_REQUEST_BYTES', 'ws');
      const { traceparent } = connection;
      log.debug({ event: 'websocket_failed', error: messageOf(error), traceparent }, 'a WebSocket failed');
    });
    socket.once('close', (code, reason) => {
      metrics.connections.dec();
      pending.delete(connection);
      connection.ended();
      for (const undo of departures.get(connection) ?? []) undo();
      departures.delete(connection);
      closed(code, String(reason)).catch((error: unknown) =>
        log.error({ event: 'websocket_close_failed', error }, 'a WebSocket did not end well'),
      );
    });
  }

  async function welcome(
    connection: Connection,
    accessToken: string | undefined,
    moves: boolean,
  ): Promise<Caller | undefined> {
    try {
      const caller = await accessTokens.verify(accessToken);
      checkBinding(connection.route, caller);
      const undo = departures.get(connection);
      if (!undo) return undefined; // It has closed meanwhile.
      pending.delete(connection);
      undo.push(
        clients.add({
          partition: options.partitionOf(caller.userKey),
          userKey: caller.userKey,
          routed: connection.route !== undefined,
          afterEvent: connection.afterEvent,
          announceMove: moves ? connection.announceMove : undefined,
          moveOn: () => connection.close(closeCodes.restart, 'this replica hands over: reconnect and resume'),
        }),
        whenOver(caller.expiresAtMs, () => connection.close(closeCodes.tokenExpired, 'the access token has expired')),
      );
      return caller;
    } catch (error) {
      connection.close(...closingFor(error));
      if (!(error instanceof PenstockError))
        log.error(
          { event: 'token_check_failed', error, traceparent: connection.traceparent },
          'a token could not be verified',
        );
      return undefined;
    }
  }
}

/** For which ws closes with 1009. */
function isTooLargeMessage(error: NodeJS.ErrnoException): boolean {
  return error.code === 'WS_ERR_UNSUPPORTED_MESSAGE_LENGTH';
}

/** How a connection ends whose tokens can't be accepted. */
export function closingFor(error: unknown): [code: number, reason: string] {
  switch (faultOf(error)) {
    case 'expired':
      return [closeCodes.tokenExpired, 'the access token has expired'];
    case 'early':
      return [closeCodes.tryAgainLater, 'a token from the future: clocks differ'];
    case 'invalid':
    case 'missing':
      return [closeCodes.unauthorized, 'the tokens do not hold'];
    case undefined:
      return [closeCodes.tryAgainLater, 'tokens cannot be verified now'];
  }
}
