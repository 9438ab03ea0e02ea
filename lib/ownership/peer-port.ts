import { randomUUID } from 'node:crypto';
import type { AddressInfo } from 'node:net';
import { createServer, type Socket } from 'node:net';

/**
 * What a peer connects to, to notice at once when this process dies: its kernel closes the connection then. Whoever
 * connects is told, a line each, `incarnation <id>`, which is this process's from start to end, then the member id, and
 * each new one; `.` now and then, which only a process that runs can write; `bye` before an orderly end. A peer answers `peer`; who
 * has not done so is a stranger, and gives way.
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
  /** Connections at once; default 1,000. */
  maxPeers?: number;
  /** Who has not answered for so long is cut off, ms; default 10,000. */
  answerWithinMs?: number;
}

/** Who leaves so many bytes lying is no peer. */
const mostUnreadBytes = 65_536;

/** What a peer says when it has heard who speaks; older ones say nothing, are cut off, and connect again. */
export const peerAnswer = 'peer';

/** @throws Error where the address cannot be had. */
export async function openPeerPort(options: PeerPortOptions): Promise<PeerPort> {
  const { listen, probeIntervalMs, maxPeers = 1_000, answerWithinMs = 10_000 } = options;
  const colon = listen.lastIndexOf(':');
  const host = listen.slice(0, colon);
  const sockets = new Set<Socket>();
  /** Those that have not answered, oldest first, and when they came, ms of this process. */
  const strangers = new Map<Socket, number>();
  const incarnation = randomUUID();
  let memberId = '';
  const cutOff = (socket: Socket | undefined): void => {
    if (socket === undefined) return;
    sockets.delete(socket);
    strangers.delete(socket);
    socket.destroy();
  };
  const server = createServer(socket => {
    socket.on('error', () => socket.destroy());
    if (sockets.size >= maxPeers) cutOff(strangers.keys().next().value);
    if (sockets.size >= maxPeers) {
      // Whoever has to go hears that this process lives: a connection without a word would be evidence of its death.
      socket.end(`incarnation ${incarnation}\n`, () => socket.destroy());
      return;
    }
    sockets.add(socket);
    strangers.set(socket, performance.now());
    socket.on('close', () => cutOff(socket));
    socket.on('data', (chunk: Buffer) => {
      if (strangers.has(socket) && !chunk.toString('latin1').startsWith(peerAnswer)) cutOff(socket);
      strangers.delete(socket);
    });
    socket.write(`incarnation ${incarnation}\n${memberId === '' ? '' : `${memberId}\n`}`);
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(Number(listen.slice(colon + 1)), host, resolve);
  });
  const probes = setInterval(() => {
    const tooOldMs = performance.now() - answerWithinMs;
    for (const [socket, sinceMs] of strangers) if (sinceMs < tooOldMs) cutOff(socket);
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
