import type { IncomingMessage } from 'node:http';
import type { OriginReader } from './client-origin.ts';

/** The address under which a client has reached the router. */
export interface OwnAddress {
  /**
   * Origins of the router's own pages, as browsers write them: `https://bank.example`, without the scheme's usual port. Where nothing that
   * is trusted says that TLS ends before the router, it may end there all the same, so that the same host over https counts too.
   */
  origins: readonly string[];
  /** `wss://bank.example` */
  webSocket: string;
}

/** Undefined where the Host header is missing or malformed. */
export type OwnOrigin = (request: Pick<IncomingMessage, 'headers' | 'socket'>) => OwnAddress | undefined;

const soundHost = /^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i;

/** Reads the router's own address from Host and, of trusted proxies, X-Forwarded-Proto. */
export function ownOrigin(clientOrigin: OriginReader): OwnOrigin {
  return ({ headers, socket }) => {
    const { host = '' } = headers;
    const { secure } = clientOrigin(headers, socket.remoteAddress);
    if (!soundHost.test(host)) return undefined;
    const origins = (secure ? ['https'] : ['http', 'https']).flatMap(scheme => {
      const url = URL.parse(`${scheme}://${host}`);
      return url === null ? [] : [url.origin];
    });
    const [first] = origins;
    return first === undefined ? undefined : { origins, webSocket: first.replace(/^http/, 'ws') };
  };
}
