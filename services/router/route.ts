import type { AccessTokenVerifier, KeyStore } from '../../lib/auth/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';
import { answerJson, HttpRefusal } from './answers.ts';
import type { OriginReader } from './client-origin.ts';
import { routeCookie } from './credentials.ts';
import type { HttpHandler } from './graphql-http.ts';
import { bearerToken } from './request-target.ts';

export interface RouteParts {
  access: AccessTokenVerifier;
  keys: KeyStore;
  owners: OwnerTable;
  partitionFor(userKey: string): number;
  origin: OriginReader;
}

/** `POST /route`: where to connect, and the route token for it, in the body, in the address and as a cookie. */
export function routeHandler({ access, keys, owners, partitionFor, origin }: RouteParts): HttpHandler {
  return async (request, response) => {
    const caller = await access.verify(bearerToken(request.headers.authorization));
    const partition = partitionFor(caller.userKey);
    const host = request.headers.host ?? '';
    if (!/^[\w.-]+(:\d+)?$|^\[[\da-f:.]+\](:\d+)?$/i.test(host)) {
      throw new HttpRefusal(400, 'BAD_USER_INPUT', 'the Host header is missing or malformed');
    }
    const { secure } = origin(request.headers, request.socket.remoteAddress);
    const signed = await keys.signRoute({
      userKey: caller.userKey,
      accessTokenHash: caller.accessTokenHash,
      partition,
      epoch: owners.owner(partition)?.epoch ?? 0,
      notAfterMs: caller.expiresAtMs,
    });
    const cookie = [
      `${routeCookie}=${signed.token}`,
      'Path=/graphql',
      `Max-Age=${signed.expiresInSeconds}`,
      'HttpOnly',
      'SameSite=Strict',
      ...(secure ? ['Secure'] : []),
    ];
    answerJson(
      response,
      200,
      {
        token: signed.token,
        url: `${secure ? 'wss' : 'ws'}://${host}/graphql?route=${signed.token}`,
        partition,
        expiresIn: signed.expiresInSeconds,
      },
      { 'set-cookie': cookie.join('; ') },
    );
  };
}
