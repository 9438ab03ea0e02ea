import type { IncomingMessage } from 'node:http';
import type { OriginReader } from './client-origin.ts';

/** The address under which a client has reached the router. */
export interface OwnAddress {
  /** As browsers write an origin: `https://bank.example`, without the scheme's usual port. */
  origin: string;
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
    const url = soundHost.test(host) ? URL.parse(`${secure ? 'https' : 'http'}://${host}`) : null;
    return url === null ? undefined : { origin: url.origin, webSocket: url.origin.replace(/^http/, 'ws') };
  };
}
