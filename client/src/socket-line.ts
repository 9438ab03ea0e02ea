import { createClient } from 'graphql-ws/client';
import { ConnectionError } from './errors.ts';
import type { Line, LineWatch, Sink, WireResult } from './line.ts';
import { deferred } from './time.ts';
import type { GraphqlError } from './types.ts';

/** The time within which a gateway has to let us in, ms. */
const connectTimeoutMs = 10_000;
/** The gateway pings at least every 10 s. A connection over which nothing comes for this long is dead, ms. */
const silenceMs = 25_000;

interface Socket {
  close(code: number): void;
  addEventListener(event: 'error', listener: () => void): void;
}

type SocketConstructor = new (address: string, protocol: string) => Socket;

/** The payload of a gateway's ping. */
interface PingPayload {
  cursors?: Record<string, string>;
  live?: string[];
  move?: boolean;
}

/** Connects by graphql-ws. @throws what the constructor throws, where there can be no WebSocket. */
export function openSocketLine(address: string, token: string, webSocket: unknown, watch: LineWatch): Line {
  const sinks = new Map<string, Sink>();
  let nextId = '';
  let heardAtMs = Date.now();
  let limitMs = connectTimeoutMs;
  const closed = deferred<ConnectionError>();
  const over = (error: ConnectionError) => {
    clearInterval(clock);
    closed.resolve(error);
  };
  // Not by graphql-ws itself: what the constructor throws, it does not catch.
  const socket = new (webSocket as SocketConstructor)(address, 'graphql-transport-ws');
  // One that is closed while it connects says so after graphql-ws has ceased to listen, and `ws` throws what nobody listens to.
  socket.addEventListener('error', () => {});
  const client = createClient({
    url: address,
    webSocketImpl: Object.assign(
      function given() {
        return socket;
      },
      { CONNECTING: 0, OPEN: 1, CLOSING: 2, CLOSED: 3 },
    ),
    // One connection, at once, and no other: who comes back, where and with which token is decided elsewhere.
    lazy: false,
    retryAttempts: 0,
    onNonLazyError() {},
    connectionParams: { accessToken: token, moves: true },
    generateID: () => nextId,
    on: {
      opened: watch.opened,
      connected() {
        limitMs = silenceMs;
        watch.letIn();
      },
      message() {
        heardAtMs = Date.now();
      },
      ping: (_received, payload) => pinged(payload ?? {}),
      closed(event) {
        const { code, reason } = event as { code?: number; reason?: string };
        over(new ConnectionError(code ?? 1006, reason ?? ''));
      },
    },
  });
  // Looks at the clock and not only at its own ticks, which stand still while the machine or the page sleeps.
  const clock = setInterval(() => {
    if (Date.now() - heardAtMs > limitMs) client.terminate();
  }, 1_000);

  return {
    closed: closed.promise,
    subscribe(id, payload, sink) {
      let stopped = false;
      const ended = () => {
        if (stopped) return false;
        stopped = true;
        sinks.delete(id);
        return true;
      };
      sinks.set(id, sink);
      nextId = id;
      const stop = client.subscribe(payload as Parameters<typeof client.subscribe>[0], {
        next(result) {
          if (stopped) return;
          watch.served();
          sink.next(result as WireResult);
        },
        error(error) {
          // Where it is not the operation that has failed but the connection, `closed` says so.
          if (Array.isArray(error) && ended()) sink.error(error as GraphqlError[]);
        },
        complete() {
          if (ended()) sink.complete();
        },
      });
      return () => {
        if (ended()) stop();
      };
    },
    close(reason = '') {
      socket.close(1000);
      over(new ConnectionError(1000, reason));
    },
  };

  function pinged({ cursors, live = [], move }: PingPayload): void {
    for (const [id, cursor] of Object.entries(cursors ?? {})) {
      watch.served();
      sinks.get(id)?.ping(cursor, live.includes(id));
    }
    if (move) watch.moveAsked();
  }
}
