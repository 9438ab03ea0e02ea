import { once } from 'node:events';
import { WebSocket } from 'ws';
import { until } from './until.ts';

/** A WebSocket that speaks graphql-transport-ws by hand: what no stock client would do. */
export interface RawSocket {
  socket: WebSocket;
  // biome-ignore lint/suspicious/noExplicitAny: whatever JSON the server sent; each test knows what it asks for
  received: readonly any[];
  send(message: object | string): void;
  /** connection_init, and the ack. `more`: what else its payload has. */
  greet(accessToken: string, more?: object): Promise<void>;
  /** Waits for the close. */
  closed(): Promise<{ code: number; reason: string }>;
}

export interface RawSocketOptions {
  protocol?: string;
  headers?: Readonly<Record<string, string>>;
}

/** Rejects with `Unexpected server response: <status>` where the upgrade is refused. */
export async function openRawSocket(url: string, options: RawSocketOptions = {}): Promise<RawSocket> {
  const socket = new WebSocket(url, options.protocol ?? 'graphql-transport-ws', { headers: { ...options.headers } });
  const received: { type: string }[] = [];
  let closing: { code: number; reason: string } | undefined;
  socket.on('message', data => received.push(JSON.parse(String(data))));
  socket.on('close', (code, reason) => {
    closing = { code, reason: String(reason) };
  });
  await once(socket, 'open');
  socket.on('error', () => {});
  return {
    socket,
    received,
    send: message => socket.send(typeof message === 'string' ? message : JSON.stringify(message)),
    async greet(accessToken, more) {
      socket.send(JSON.stringify({ type: 'connection_init', payload: { accessToken, ...more } }));
      await until('the ack', () => received.some(({ type }) => type === 'connection_ack') || closing !== undefined);
      if (closing) throw new Error(`closed with ${closing.code} ${closing.reason}`);
    },
    closed: () => until('the close', () => closing),
  };
}
