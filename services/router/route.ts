import type { AccessTokenVerifier, KeyStore, RouteTokenVerifier } from '../../lib/auth/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';
import type { Admission } from './admission.ts';
import { answerJson, HttpRefusal } from './answers.ts';
import { routeCookie } from './credentials.ts';
import type { HttpHandler } from './graphql-http.ts';
import type { AllowedOrigins } from './origins/allowed-origins.ts';
import type { OwnOrigin } from './origins/own-origin.ts';
import { bearerToken } from './request-target.ts';

export interface RouteParts {
  access: AccessTokenVerifier;
  keys: KeyStore;
  /** Told of each token: it comes back within moments. */
  routes: Pick<RouteTokenVerifier, 'remember'>;
  owners: OwnerTable;
  admission: Pick<Admission, 'checkRoom'>;
  partitionFor(userKey: string): number;
  own: OwnOrigin;
  origins: AllowedOrigins;
}

/** `POST /route`: where to connect, and the route token for it, in the body, in the address and as a cookie. */
export function routeHandler({
  access,
  keys,
  routes,
  owners,
  admission,
  partitionFor,
  own,
  origins,
}: RouteParts): HttpHandler {
  return async (request, response) => {
    const caller = await access.verify(bearerToken(request.headers.authorization));
    const partition = partitionFor(caller.userKey);
    admission.checkRoom(owners.owner(partition)?.address);
    const address = own(request);
    if (address === undefined) {
      throw new HttpRefusal(400, 'BAD_USER_INPUT', 'the Host header is missing or malformed');
    }
    const { userKey, accessTokenHash } = caller;
    const claims = { userKey, accessTokenHash, partition, epoch: owners.owner(partition)?.epoch ?? 0 };
    const signed = await keys.signRoute({ ...claims, notAfterMs: caller.expiresAtMs });
    routes.remember(signed.token, { ...claims, expiresAtMs: signed.expiresAtMs });
    const cookie = [
      `${routeCookie}=${signed.token}`,
      'Path=/graphql',
      `Max-Age=${signed.expiresInSeconds}`,
      'HttpOnly',
      'SameSite=Strict',
      ...(address.webSocket.startsWith('wss:') ? ['Secure'] : []),
    ];
    answerJson(
      response,
      200,
      {
        token: signed.token,
        url: `${address.webSocket}/graphql?route=${signed.token}`,
        partition,
        expiresIn: signed.expiresInSeconds,
      },
      // A browser sends the cookie to pages of this origin alone (SameSite=Strict): to any other it is of no use.
      origins.senderOf(request) === 'listed' ? {} : { 'set-cookie': cookie.join('; ') },
    );
  };
}
