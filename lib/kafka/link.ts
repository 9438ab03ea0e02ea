import type { Logger, SASLOptions } from 'kafkajs';
import type { BrokerReports } from './broker-reports.ts';
import { KafkaUnavailableError, UnsupportedBrokerError } from './errors.ts';
import { type Broker, BrokerClass, type Connection, ConnectionPoolClass } from './kafkajs-internals.ts';
import { refusalOf, throttleTimeMs } from './wire/apis.ts';
import { ByteReader, ByteWriter } from './wire/bytes.ts';
import type { WireRequest } from './wire/requests.ts';

export interface LinkSettings {
  clientId: string;
  logger: Logger;
  ssl: unknown;
  sasl: SASLOptions | undefined;
  socketFactory: unknown;
  connectTimeoutMs: number;
  requestTimeoutMs: number;
  reports: Pick<BrokerReports, 'refused' | 'accepted' | 'throttled'>;
}

/**
 * Longest pause that a broker's word is taken for, ms. One that asks for more is asked again over a new connection, as one that
 * does not answer.
 */
const maxThrottleMs = 300_000;

/**
 * One authenticated connection to one broker. It is never reconnected (kafkajs's own reconnect lets two requests open
 * two sockets on one connection): after the first failure it is dead, and a new link takes its place.
 */
export interface Link {
  readonly address: string;
  /** False also when the broker's authentication of it is about to run out. */
  readonly alive: boolean;
  /** Rejects with KafkaUnavailableError when the connection broke or the time is over; the link is dead then. */
  send<T>(request: WireRequest<T>): Promise<T>;
  /** A call of kafkajs's Broker; errors of the broker's answer are thrown as they are and leave the link alive. */
  call<T>(run: (broker: Broker) => Promise<T>): Promise<T>;
  /** At once; what is under way rejects. */
  close(): void;
  /** When nothing is under way any more. */
  retire(): void;
}

/** @throws KafkaUnavailableError */
export async function openLink(host: string, port: number, settings: LinkSettings): Promise<Link> {
  const address = `${host}:${port}`;
  const connectionPool = new ConnectionPoolClass({
    host,
    port,
    rack: null,
    ssl: settings.ssl ?? null,
    sasl: settings.sasl ?? null,
    clientId: settings.clientId,
    socketFactory: settings.socketFactory,
    connectionTimeout: settings.connectTimeoutMs,
    requestTimeout: settings.requestTimeoutMs,
    enforceRequestTimeout: true,
    maxInFlightRequests: null,
    // Never: it would mix up the answers of requests under way. A link ends before its authentication does.
    reauthenticationThreshold: Number.MIN_SAFE_INTEGER,
    logger: settings.logger,
  });
  const broker = new BrokerClass({
    connectionPool,
    logger: settings.logger,
    nodeId: null,
    authenticationTimeout: settings.connectTimeoutMs,
    allowAutoTopicCreation: false,
  });
  // A broker's calls go over the first connection (all but its fetch, which we don't use).
  const connection = connectionPool.pool[0];
  if (connection === undefined) throw new Error('kafkajs opened no connection');
  heedQuotas(connection, (apiName, ms) => settings.reports.throttled(address, apiName, ms));
  let dead = false;
  let retired = false;
  let underWay = 0;
  let expiresAt = Number.POSITIVE_INFINITY;

  function bury(cause: Error): void {
    if (dead) return;
    dead = true;
    connection?.requestQueue.rejectAll(cause);
    // Ends by itself once its queue is empty, which it is now; the socket may still hang in its hand-shake.
    broker.disconnect().then(destroySocket, destroySocket);
  }

  function destroySocket(): void {
    connection?.socket?.destroy();
  }

  function failure(doing: string, error: unknown): KafkaUnavailableError {
    const reason = error instanceof Error ? error.message : String(error);
    const unavailable = new KafkaUnavailableError(`${doing} at ${address}: ${reason}`, error);
    bury(unavailable);
    return unavailable;
  }

  async function during<T>(doing: string, run: () => Promise<T>): Promise<T> {
    if (dead || !connection?.isConnected()) throw failure(doing, new Error('not connected'));
    underWay++;
    try {
      return await run();
    } catch (error) {
      throw answeredError(error) ?? failure(doing, error);
    } finally {
      underWay--;
      if (retired && underWay === 0) link.close();
    }
  }

  const link: Link = {
    address,
    get alive() {
      return !dead && connection.isConnected() && Date.now() < expiresAt;
    },
    async send(request) {
      const answer = await during(request.apiName, () =>
        connection.send({
          request: {
            apiKey: request.apiKey,
            apiVersion: request.apiVersion,
            apiName: request.apiName,
            async encode() {
              const writer = new ByteWriter();
              request.encode(writer);
              const { buffer } = writer;
              return { buf: buffer, buffer, size: () => buffer.length };
            },
          },
          response: {
            decode: async bytes => ({ bytes, clientSideThrottleTime: throttleTimeMs(request, bytes) }),
            parse: async decoded => decoded,
          },
          requestTimeout: request.timeoutMs ?? null,
          logResponseError: false,
        }),
      );
      return request.decode(new ByteReader(answer.bytes));
    },
    call: run => during('request', () => run(broker)),
    close() {
      bury(new KafkaUnavailableError(`link to ${address} closed`));
    },
    retire() {
      retired = true;
      if (underWay === 0) link.close();
    },
  };

  try {
    await broker.connect();
  } catch (error) {
    throw failure('connect', error);
  }
  const refusal = refusalOf(broker.versions ?? {});
  if (refusal !== undefined) {
    link.close();
    settings.reports.refused(address, refusal);
    throw new UnsupportedBrokerError(address, refusal);
  }
  settings.reports.accepted(address);
  const lifetimeMs = Number(connection.sessionLifetime.toString());
  if (lifetimeMs > 0) expiresAt = Date.now() + lifetimeMs * 0.8;
  return link;
}

/**
 * A broker answers at once when a quota is exceeded, and then reads nothing from the connection for the throttle time (KIP-219).
 * kafkajs holds later requests back for so long; what is under way already can't be answered before either, and so its
 * time-out begins behind the pause.
 */
function heedQuotas(connection: Connection, tell: (apiName: string, ms: number) => void): void {
  const send = connection.send.bind(connection);
  connection.send = ({ response, ...protocolRequest }) =>
    send({
      ...protocolRequest,
      response: {
        ...response,
        async decode(bytes) {
          const decoded = await response.decode(bytes);
          const pauseMs = Math.min(decoded.clientSideThrottleTime ?? 0, maxThrottleMs);
          if (!(pauseMs > 0)) return decoded;
          tell(protocolRequest.request.apiName, pauseMs);
          const until = Date.now() + pauseMs;
          for (const underWay of connection.requestQueue.inflight.values()) {
            underWay.sentAt = Math.max(underWay.sentAt, until);
          }
          return { ...decoded, clientSideThrottleTime: pauseMs };
        },
      },
    });
}

/** kafkajs gathers the errors of an answer about several topics; ours ask about one. */
function answeredError(error: unknown): Error | undefined {
  if (isProtocolError(error)) return error;
  if (!(error instanceof Error) || !('errors' in error) || !Array.isArray(error.errors)) return undefined;
  return error.errors.find(isProtocolError);
}

/** An answer with an error code in it, as kafkajs throws it: the connection itself is fine. */
export function isProtocolError(error: unknown): error is Error & { type: string; code: number } {
  return error instanceof Error && 'type' in error && typeof error.type === 'string' && 'code' in error;
}
