import http, { type ClientRequest, type IncomingMessage, type ServerResponse } from 'node:http';
import https from 'node:https';
import type { Socket } from 'node:net';
import { Readable } from 'node:stream';
import httpProxy from 'http-proxy';
import { messageOf } from '../../lib/errors.ts';
import type { Closable } from '../../lib/ops/index.ts';
import type { Attempt } from './ask-owners.ts';

export interface GatewayProxyLimits {
  connectTimeoutMs: number;
  /** Until an HTTP answer begins. */
  answerTimeoutMs: number;
  /** Until an upgrade is answered. */
  upgradeTimeoutMs: number;
  /** Connections to one gateway for HTTP; idle ones are kept for reuse. */
  maxSockets: number;
}

/** What ends an attempt before its time-outs. */
export interface AttemptEnds {
  clientGone: AbortSignal;
  gatewayDead: AbortSignal;
}

/** One attempt to have a gateway serve a request. Whoever calls sets the request's `url` and `headers` first. */
export interface GatewayProxy extends Closable {
  /** Resolves when the answer has begun (`onAnswer` takes it over), or when it is clear that there is none. */
  forward(
    request: IncomingMessage,
    response: ServerResponse,
    body: Buffer,
    address: string,
    ends: AttemptEnds,
    onAnswer: (answer: IncomingMessage) => void,
  ): Promise<Attempt>;
  /** Resolves when the sockets are piped into each other (`onJoined`, before data flows), or the upgrade was not accepted. */
  upgrade(
    request: IncomingMessage,
    socket: Socket,
    address: string,
    ends: AttemptEnds,
    onJoined: (upstream: Socket) => void,
  ): Promise<Attempt>;
}

const noBytes = Buffer.alloc(0);

/**
 * http-proxy 1.18.1 with its faults fenced off. It hands out its client request in an event; what it does itself with
 * errors and refused upgrades (write them to the client, end the client, throw) is taken off that request before
 * anything can happen, so that a request can be tried again elsewhere.
 */
export function openGatewayProxy({
  connectTimeoutMs,
  answerTimeoutMs,
  upgradeTimeoutMs,
  maxSockets,
}: GatewayProxyLimits): GatewayProxy {
  const proxy = httpProxy.createProxyServer({});
  const agents = {
    'http:': new http.Agent({ keepAlive: true, maxSockets, maxFreeSockets: 256 }),
    'https:': new https.Agent({ keepAlive: true, maxSockets, maxFreeSockets: 256 }),
  };
  /** Who waits for the client request that http-proxy makes for an incoming one. */
  const makers = new WeakMap<IncomingMessage, (made: ClientRequest) => void>();
  const answers = new WeakMap<IncomingMessage, (answer: IncomingMessage) => void>();
  proxy.on('proxyReq', (made, request) => makers.get(request)?.(made));
  proxy.on('proxyReqWs', (made, request) => makers.get(request)?.(made));
  proxy.on('proxyRes', (answer, request) => answers.get(request)?.(answer));
  // Without a listener http-proxy throws; each error also reaches the attempt that it belongs to.
  proxy.on('error', () => undefined);

  return {
    forward(request, response, body, address, { clientGone, gatewayDead }, onAnswer) {
      return new Promise(resolve => {
        let made: ClientRequest | undefined;
        let sent = false;
        let over: string | undefined;
        const fail = (reason: string): void => {
          over = reason;
          made?.destroy();
          if (clientGone.aborted) settle({ kind: 'client-gone' });
          else settle(sent ? { kind: 'broken', reason } : { kind: 'unreachable', reason });
        };
        const connecting = setTimeout(() => fail('connecting took too long'), connectTimeoutMs);
        const answering = setTimeout(() => fail('the answer took too long'), answerTimeoutMs);
        const onGone = (): void => fail('the client went away');
        const onDead = (): void => fail('the gateway has died');
        const settle = (attempt: Attempt): void => {
          clearTimeout(connecting);
          clearTimeout(answering);
          clientGone.removeEventListener('abort', onGone);
          gatewayDead.removeEventListener('abort', onDead);
          makers.delete(request);
          resolve(attempt);
        };
        clientGone.addEventListener('abort', onGone, { once: true });
        gatewayDead.addEventListener('abort', onDead, { once: true });
        if (clientGone.aborted) return onGone();

        makers.set(request, clientRequest => {
          made = clientRequest;
          if (over !== undefined) {
            made.destroy();
            return;
          }
          onConnected(clientRequest, () => {
            sent = true;
            clearTimeout(connecting);
          });
        });
        answers.set(request, answer => {
          if (over !== undefined || answer.statusCode === 421) {
            answer.on('error', () => undefined);
            answer.resume();
            settle({ kind: 'not-owner' });
            return;
          }
          settle({ kind: 'served' });
          onAnswer(answer);
        });
        // http-proxy leaves a listener or two on the request with each attempt.
        request.setMaxListeners(0);
        try {
          const protocol = new URL(address).protocol === 'https:' ? 'https:' : 'http:';
          proxy.web(
            request,
            response,
            {
              target: address,
              agent: agents[protocol],
              buffer: Readable.from(body.length === 0 ? [] : [body]),
              selfHandleResponse: true,
            },
            error => fail(messageOf(error)),
          );
        } catch (error) {
          fail(messageOf(error));
        }
      });
    },

    upgrade(request, socket, address, { clientGone, gatewayDead }, onJoined) {
      return new Promise(resolve => {
        let made: ClientRequest | undefined;
        const settle = (attempt: Attempt): void => {
          clearTimeout(connecting);
          clearTimeout(answering);
          clientGone.removeEventListener('abort', onGone);
          gatewayDead.removeEventListener('abort', onDead);
          resolve(attempt);
        };
        // Nothing but the handshake has been sent, so that any failure of it may be followed by another try.
        const fail = (reason: string): void => {
          made?.destroy();
          settle(clientGone.aborted ? { kind: 'client-gone' } : { kind: 'unreachable', reason });
        };
        const connecting = setTimeout(() => fail('connecting took too long'), connectTimeoutMs);
        const answering = setTimeout(() => fail('the answer to the upgrade took too long'), upgradeTimeoutMs);
        const onGone = (): void => fail('the client went away');
        const onDead = (): void => fail('the gateway has died');
        clientGone.addEventListener('abort', onGone, { once: true });
        gatewayDead.addEventListener('abort', onDead, { once: true });
        if (clientGone.aborted) return onGone();

        makers.set(request, clientRequest => {
          made = clientRequest;
        });
        try {
          // The client's first bytes stay with us until the sockets are joined: http-proxy would push them back each time.
          proxy.ws(request, socket, noBytes, { target: address }, () => undefined);
        } catch (error) {
          fail(messageOf(error));
        }
        makers.delete(request);
        if (made === undefined) return fail('http-proxy made no request');
        // Synchronously behind proxy.ws: nothing has happened on this request yet.
        made.removeAllListeners('error');
        made.removeAllListeners('response');
        made.on('error', error => fail(messageOf(error)));
        onConnected(made, () => clearTimeout(connecting));
        made.on('response', (answer: IncomingMessage) => {
          const status = answer.statusCode ?? 0;
          answer.on('error', () => undefined);
          answer.destroy();
          if (status === 421) settle({ kind: 'not-owner' });
          else if (status >= 500) settle({ kind: 'unreachable', reason: `the gateway answered ${status}` });
          else settle({ kind: 'broken', reason: `the gateway answered the upgrade with ${status}` });
        });
        // Behind http-proxy's own listener, which has written the 101 and set up the pipes.
        made.on('upgrade', (_answer, upstream: Socket) => {
          onJoined(upstream);
          settle({ kind: 'served' });
        });
      });
    },

    close() {
      agents['http:'].destroy();
      agents['https:'].destroy();
      return Promise.resolve();
    },
  };
}

/** Calls back when a request's connection stands: from then on it may have been sent. */
function onConnected(made: ClientRequest, callback: () => void): void {
  const look = (socket: Socket): void => {
    if (socket.connecting) socket.once('connect', callback);
    else callback();
  };
  if (made.socket === null) made.once('socket', look);
  else look(made.socket);
}
