import { createServer, type RequestListener, type Server } from 'node:http';
import { listenTogether } from '../../../lib/ops/index.ts';

/** Keeps a router's idle connections longer than routers themselves do. */
const keepAliveMs = 65_000;

/** Longest time that a request may take to arrive. */
const requestMs = 30_000;

export interface Listening {
  servers: readonly Server[];
  /** Base URL of each address, in the order given. */
  urls: readonly string[];
}

/**
 * Listens on each `host:port` (`[::1]:port` for IPv6); port 0 takes a free one.
 * @throws Error naming the address that can't be had.
 */
export async function listenOn(
  addresses: readonly string[],
  maxHeaderBytes: number,
  listener: RequestListener,
): Promise<Listening> {
  const servers: Server[] = [];
  const urls: string[] = [];
  const options = { keepAliveTimeout: keepAliveMs, requestTimeout: requestMs, maxHeaderSize: maxHeaderBytes };
  const open = () => createServer(options, listener);
  for (const address of addresses) {
    try {
      const listening = await listenTogether(address, open);
      for (const server of listening.servers) servers.push(server);
      urls.push(listening.url);
    } catch (cause) {
      for (const server of servers) server.close();
      throw new Error(`can't listen on ${address}`, { cause });
    }
  }
  return { servers, urls };
}
