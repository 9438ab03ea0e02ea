import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/**
 * What a peer connects to, to notice at once when this process dies: its kernel closes the connection then. Whoever
 * connects is told, a line each, `incarnation <id>`, which is this process's from start to end, then the member id, and
 * each new one; `.` now and then, which only a process that runs can write; `bye` before an orderly end. Nothing is read.
 */
export interface PeerPort {
  /** host:port, as peers reach it. */
  address: string;
  /** The id that the group knows this process by now. */
  say(memberId: string): void;
  /** Says `bye` and closes. */
  close(): Promise<void>;
}

export interface PeerPortOptions {
  /** host:port; port 0 takes a free one. */
  listen: string;
  /** A sign of life this often, ms. */
  probeIntervalMs: number;
}

/** More connections than this are closed at once. */
const mostPeers = 1_000;
/** Who leaves so many bytes lying is no peer. */
const mostUnreadBytes = 65_536;

/** @throws Error where the address cannot be had. */
export async function openPeerPort({ listen, probeIntervalMs }: PeerPortOptions): Promise<PeerPort> {
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon);
  const sockets = new Set<Socket>();
  const incarnation = randomUUID();
  let memberId = '';
  const server = createServer(socket => {
    if (sockets.size >= mostPeers) {
      socket.destroy();
      return;
    }
    sockets.add(socket);
    socket.on('error', () => socket.destroy());
    socket.on('close', () => sockets.delete(socket));
    socket.resume();
    socket.write(`incarnation ${incarnation}\n${memberId === '' ? '' : `${memberId}\n`}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(listen.slice(colon + 1)), host, resolve);
  });
  const probes = setInterval(() => {
    for (const socket of sockets) {
      if (socket.writableLength > mostUnreadBytes) socket.destroy();
      else socket.write('.\n');
    }
  }, probeIntervalMs);
  const { port } = server.address() as AddressInfo;
  let closing: Promise<void> | undefined;
  return {
    address: `${host}:${port}`,
    say(id) {
      if (id === memberId) return;
      memberId = id;
      for (const socket of sockets) socket.write(`${id}\n`);
    },
    close() {
      closing ??= new Promise(resolve => {
        clearInterval(probes);
        server.close(() => resolve());
        for (const socket of sockets) socket.end('bye\n', () => socket.destroy());
      });
      return closing;
    },
  };
}
