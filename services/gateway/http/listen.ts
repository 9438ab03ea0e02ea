import { createServer, type RequestListener, type Server } from 'node:http';
import { type AddressInfo, isIPv6 } from 'node:net';

/** Keeps a router's idle connections longer than routers themselves do. */
const keepAliveMs = 65_000;

/** Longest time that a request may take to arrive. */
const requestMs = 30_000;

/** Connections that the system may complete before we have taken them up; its own limit is 4,096 on Linux. */
const backlog = 16_384;

export interface Listening {
  servers: readonly Server[];
  /** Base URL of each address, in the order given. */
  urls: readonly string[];
}

/**
 * Listens on each `host:port` (`[::1]:port` for IPv6). Several processes may share a port where the system can
 * (SO_REUSEPORT); port 0 takes a free one.
 * @throws Error naming the address that can't be had.
 */
export async function listenOn(addresses: readonly string[], listener: RequestListener): Promise<Listening> {
  const servers: Server[] = [];
  try {
    const urls: string[] = [];
    for (const address of addresses) {
      const server = createServer({ keepAliveTimeout: keepAliveMs, requestTimeout: requestMs }, listener);
      servers.push(server);
      urls.push(await listen(server, address));
    }
    return { servers, urls };
  } catch (error) {
    for (const server of servers) server.close();
    throw error;
  }
}

async function listen(server: Server, address: string): Promise<string> {
  const { host, port } = parseAddress(address);
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    const reusePort = port !== 0 && process.platform === 'linux';
    server.listen({ host, port, reusePort, backlog }, () => {
      server.off('error', reject);
      resolve();
    });
  }).catch((cause: unknown) => {
    throw new Error(`can't listen on ${address}`, { cause });
  });
  const bound = server.address() as AddressInfo;
  return `http://${isIPv6(host) ? `[${host}]` : host}:${bound.port}`;
}

/** @throws Error for what is no `host:port`. */
export function parseAddress(address: string): { host: string; port: number } {
  const match = /^(?:\[([0-9a-f:.]+)\]|([^:[\]]+)):(\d{1,5})$/i.exec(address);
  const port = Number(match?.[3]);
  const host = match?.[1] ?? match?.[2];
  if (host === undefined || port > 65_535) throw new Error(`${address} is no address of the form host:port`);
  return { host, port };
}
