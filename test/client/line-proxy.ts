import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { connect, createServer, type Socket } from 'node:net';

/** A way to a server, with what a network does to it. */
export interface LineProxy {
  url: string;
  /** Connections so far. */
  connections(): number;
  /** Breaks what is open. */
  cut(): void;
  close(): Promise<void>;
}

export interface LineProxyOptions {
  /** Breaks each connection after this time. */
  lifeMs?: number;
  /** Lets nobody through. */
  isDown?: () => boolean;
  /** Resets whatever wants to become a WebSocket. */
  blocksWebSockets?: () => boolean;
}

export async function openLineProxy(target: string, options: LineProxyOptions = {}): Promise<LineProxy> {
  const { hostname, port } = new URL(target);
  const sockets = new Set<Socket>();
  let connections = 0;
  const server = createServer(client => {
    if (options.isDown?.()) {
      client.destroy();
      return;
    }
    connections++;
    const upstream = connect(Number(port), hostname);
    for (const socket of [client, upstream]) {
      sockets.add(socket);
      socket.on('error', () => {});
      socket.on('close', () => {
        sockets.delete(socket);
        client.destroy();
        upstream.destroy();
      });
    }
    client.on('data', chunk => {
      if (options.blocksWebSockets?.() && /^upgrade: websocket/im.test(String(chunk))) client.destroy();
      else upstream.write(chunk);
    });
    upstream.pipe(client);
    if (options.lifeMs) setTimeout(() => client.destroy(), options.lifeMs).unref();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const cut = () => {
    for (const socket of sockets) socket.destroy();
  };
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    connections: () => connections,
    cut,
    async close() {
      cut();
      server.close();
      await once(server, 'close');
    },
  };
}
