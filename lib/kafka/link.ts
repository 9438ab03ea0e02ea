import type { Logger, SASLOptions } from 'kafkajs';
import { KafkaUnavailableError } from './errors.ts';
import { type Broker, BrokerClass, ConnectionPoolClass } from './kafkajs-internals.ts';
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
}

/**
 * One authenticated connection to one broker. It is never reconnected (kafkajs's own reconnect lets two requests open
 * two sockets on one connection): after the first failure it is dead, and a new link takes its place.
 */
export interface Link {
  readonly address: string;
  readonly alive: boolean;
  /** Rejects with KafkaUnavailableError when the connection broke or the time is over; the link is dead then. */
  send<T>(request: WireRequest<T>): Promise<T>;
  /** A call of kafkajs's Broker; errors of the broker's answer are thrown as they are and leave the link alive. */
  call<T>(run: (broker: Broker) => Promise<T>): Promise<T>;
  /** At once; what is under way rejects. */
  close(): void;
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
  let dead = false;

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

  const link: Link = {
    address,
    get alive() {
      return !dead && connection.isConnected();
    },
    async send(request) {
      if (!link.alive) throw failure(request.apiName, new Error('not connected'));
      let answer: { bytes: Buffer };
      try {
        answer = await connection.send({
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
            decode: async bytes => ({ bytes }),
            parse: async decoded => decoded,
          },
          requestTimeout: request.timeoutMs ?? null,
          logResponseError: false,
        });
      } catch (error) {
        throw failure(request.apiName, error);
      }
      return request.decode(new ByteReader(answer.bytes));
    },
    async call(run) {
      if (!link.alive) throw failure('request', new Error('not connected'));
      try {
        return await run(broker);
      } catch (error) {
        const answered = answeredError(error);
        throw answered ?? failure('request', error);
      }
    },
    close() {
      bury(new KafkaUnavailableError(`link to ${address} closed`));
    },
  };

  try {
    await broker.connect();
  } catch (error) {
    throw failure('connect', error);
  }
  return link;
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
