import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { type WebSocket, WebSocketServer } from 'ws';

export interface SeenRequest {
  method: string;
  url: string;
  headers: IncomingHttpHeaders;
  body: string;
}

/** A program that stands where a gateway would, and does what a test says. */
export interface Upstream {
  url: string;
  requests: SeenRequest[];
  /** Sockets open to it now. */
  sockets: Set<Socket>;
  close(): Promise<void>;
}

export interface UpstreamBehaviour {
  onRequest?: (request: SeenRequest, response: ServerResponse, incoming: IncomingMessage) => void;
  /** Instead of {@link onSocket}: what happens to the bare upgrade. */
  onUpgrade?: (request: IncomingMessage, socket: Duplex, head: Buffer, accept: () => void) => void;
  onSocket?: (socket: WebSocket, request: SeenRequest) => void;
}

export async function upstream({ onRequest, onUpgrade, onSocket }: UpstreamBehaviour): Promise<Upstream> {
  const requests: SeenRequest[] = [];
  const sockets = new Set<Socket>();
  const see = (incoming: IncomingMessage, body: string): SeenRequest => {
    const { method = '', url = '', headers } = incoming;
    const seen = { method, url, headers, body };
    requests.push(seen);
    return seen;
  };
  const server = createServer((incoming, response) => {
    const chunks: Buffer[] = [];
    incoming.on('data', (chunk: Buffer) => chunks.push(chunk));
    incoming.on('error', () => undefined);
    incoming.on('end', () => {
      const seen = see(incoming, Buffer.concat(chunks).toString('utf8'));
      if (onRequest === undefined) response.writeHead(404).end();
      else onRequest(seen, response, incoming);
    });
  });
  const webSockets = new WebSocketServer({ noServer: true, handleProtocols: () => 'graphql-transport-ws' });
  server.on('connection', socket => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (incoming, socket, head) => {
    const seen = see(incoming, '');
    socket.on('end', () => socket.end());
    const accept = (): void =>
      webSockets.handleUpgrade(incoming, socket, head, webSocket => {
        webSocket.on('error', () => undefined);
        onSocket?.(webSocket, seen);
      });
    if (onUpgrade === undefined) accept();
    else onUpgrade(incoming, socket, head, accept);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    requests,
    sockets,
    async close() {
      for (const socket of sockets) socket.destroy();
      server.close();
      await once(server, 'close');
    },
  };
}

/** An address where nobody listens. */
export async function deadAddress(): Promise<string> {
  const server = createServer();
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return `http://127.0.0.1:${port}`;
}
