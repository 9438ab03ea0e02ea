import type { Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';

/** Connections that the system may complete before we have taken them up; its own limit is 4,096 on Linux. */
const backlog = 16_384;
/**
 * The event loop takes up one connection for each listening socket and turn (seen with libuv 1.52), however many wait: where a
 * turn takes long, a queue grows behind it. So several sockets share a port where the system can (SO_REUSEPORT); it spreads
 * connections over them. Several processes may share it as well.
 */
const sharing = 8;

/** @throws Error for what is no `host:port` (`[::1]:port` for IPv6). */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(address);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw new Error(`PENSTOCK_HTTP_LISTEN: ${address} is not host:port`);
  return { host, port };
}

export interface Listening {
  servers: readonly Server[];
  /** Base URL. */
  url: string;
}

/**
 * Listens on a `host:port` with servers that `open` makes, all alike; port 0 takes a free one.
 * @throws Error of `server.listen`, when the address can't be had; no server is left listening.
 */
export async function listenTogether(address: string, open: () => Server): Promise<Listening> {
  const { host, port } = parseAddress(address);
  const first = open();
  const servers = [first];
  let shared = process.platform === 'linux';
  try {
    await listen(first, { host, port, reusePort: shared }).catch((error: NodeJS.ErrnoException) => {
      if (!shared || !cannotShare.has(error.code)) throw error;
      shared = false;
      return listen(first, { host, port, reusePort: false });
    });
    const bound = (first.address() as AddressInfo).port;
    while (shared && servers.length < sharing) {
      const next = open();
      servers.push(next);
      await listen(next, { host, port: bound, reusePort: true });
    }
    return { servers, url: `http://${isIPv6(host) ? `[${host}]` : host}:${bound}` };
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

/** Of systems, and of address families, without SO_REUSEPORT. */
const cannotShare: ReadonlySet<string | undefined> = new Set(['ENOTSUP', 'EINVAL', 'ENOPROTOOPT']);

function listen(server: Server, at: { host: string; port: number; reusePort: boolean }): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen({ ...at, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  });
}
