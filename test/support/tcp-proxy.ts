import { once } from 'node:events';
import { createConnection, createServer, type Server, type Socket } from 'node:net';
import { freePort } from './free-ports.ts';

/** A way to a server that can be cut and mended, so that a test takes the server away from one program alone. */
export interface TcpProxy {
  port: number;
  /** Breaks what is open and refuses what comes. */
  cut(): Promise<void>;
  mend(): Promise<void>;
  /** Refuses and resets nothing, but lets nothing through any more, over connections that are open and new ones. */
  silence(): void;
  /** Connections that have come since it is silent. */
  unanswered(): number;
  /** What was held back goes on its way. */
  unsilence(): void;
  close(): Promise<void>;
}

/** Starts cut. */
export async function openTcpProxy(target: { host: string; port: number }): Promise<TcpProxy> {
  const sockets = new Set<Socket>();
  const pairs = new Set<readonly [Socket, Socket]>();
  /** Who has come while it is silent; undefined: it is not. */
  let unanswered: Socket[] | undefined;
  let server: Server | undefined;
  const port = await freePort();

  function accept(client: Socket): void {
    if (unanswered === undefined) {
      join(client);
      return;
    }
    unanswered.push(client.pause());
    sockets.add(client);
    client.on('error', () => undefined);
    client.on('close', () => sockets.delete(client));
  }

  function join(client: Socket): void {
    const upstream = createConnection(target);
    const pair = [client, upstream] as const;
    pairs.add(pair);
    client.on('close', () => pairs.delete(pair));
    for (const [one, other] of [
      [client, upstream],
      [upstream, client],
    ] as const) {
      sockets.add(one);
      one.setNoDelay(true);
      one.pipe(other);
      one.on('error', () => other.destroy());
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
  }

  async function cut(): Promise<void> {
    const closing = server;
    server = undefined;
    for (const socket of sockets) socket.destroy();
    if (closing !== undefined) await new Promise(resolve => closing.close(resolve));
  }

  return {
    port,
    cut,
    async mend() {
      server = createServer(accept).listen(port, '127.0.0.1');
      await once(server, 'listening');
    },
    silence() {
      unanswered ??= [];
      for (const [client, upstream] of pairs) {
        client.unpipe(upstream).pause();
        upstream.unpipe(client).pause();
      }
    },
    unanswered: () => unanswered?.length ?? 0,
    unsilence() {
      const late = unanswered ?? [];
      unanswered = undefined;
      for (const [client, upstream] of pairs) {
        client.pipe(upstream);
        upstream.pipe(client);
      }
      for (const client of late) if (!client.destroyed) join(client);
    },
    close: cut,
  };
}
