import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { WebSocket } from 'ws';

export interface Closed {
  code: number;
  reason: string;
}

export interface SocketClient {
  socket: WebSocket;
  /** Messages that have arrived. */
  messages: string[];
  /** Resolves with the close code; 1006 when there was no close frame. */
  closed: Promise<Closed>;
  opened: Promise<void>;
}

/** A WebSocket client that never throws: what happens is told by `opened`, `closed` and `messages`. */
export function socketClient(
  url: string,
  {
    protocols = ['graphql-transport-ws'],
    headers = {},
  }: { protocols?: string[]; headers?: Record<string, string> } = {},
): SocketClient {
  const socket = new WebSocket(url, protocols, { headers });
  const messages: string[] = [];
  socket.on('message', message => messages.push(String(message)));
  socket.on('error', () => undefined);
  return {
    socket,
    messages,
    opened: once(socket, 'open').then(() => undefined),
    closed: new Promise(resolve => socket.on('close', (code, reason) => resolve({ code, reason: reason.toString() }))),
  };
}

/** A bare TCP connection to an address, with everything that came over it. */
export async function bareClient(url: string): Promise<{ socket: Socket; received(): string; closed: Promise<void> }> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  const chunks: Buffer[] = [];
  socket.on('data', chunk => chunks.push(chunk));
  socket.on('error', () => undefined);
  const closed = new Promise<void>(resolve => socket.once('close', () => resolve()));
  await once(socket, 'connect');
  return { socket, received: () => Buffer.concat(chunks).toString('latin1'), closed };
}

/** The head of a WebSocket upgrade request. */
export function upgradeRequest(path: string, headers: Readonly<Record<string, string>> = {}): string {
  const all = {
    Host: 'localhost',
    Connection: 'Upgrade',
    Upgrade: 'websocket',
    'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'Sec-WebSocket-Version': '13',
    'Sec-WebSocket-Protocol': 'graphql-transport-ws',
    ...headers,
  };
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `GET ${path} HTTP/1.1\r\n${lines.join('')}\r\n`;
}
