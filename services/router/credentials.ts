import type { IncomingHttpHeaders } from 'node:http';
import { type AccessTokenVerifier, type Caller, faultOf, type RouteTokenVerifier } from '../../lib/auth/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import { bearerToken, cookie, parameter } from './request-target.ts';

/** Who wants to be connected, and to which partition. `routeToken` is undefined where one has to be minted. */
export interface Credential {
  partition: number;
  routeToken: string | undefined;
  caller: Caller | undefined;
}

export interface CredentialReader {
  /**
   * The first credential of an upgrade that holds: `?route=`, the cookie, the `Authorization` header.
   * @throws PenstockError UNAUTHENTICATED (`expired` if the best of them had merely expired), or UNAVAILABLE when keys
   *   or the partition count are not known now.
   */
  read(query: string, headers: IncomingHttpHeaders): Promise<Credential>;
}

export const routeCookie = 'penstock_route';

export function credentialReader(
  access: AccessTokenVerifier,
  routes: Pick<RouteTokenVerifier, 'verify'>,
  partitionFor: (userKey: string) => number,
): CredentialReader {
  const byRouteToken = async (token: string): Promise<Credential> => {
    const claims = await routes.verify(token);
    // Made before the topics grew: as good as expired, a new one is to be fetched.
    if (claims.partition !== partitionFor(claims.userKey)) {
      throw new PenstockError('UNAUTHENTICATED', 'the route token has expired', { reason: 'expired' });
    }
    return { partition: claims.partition, routeToken: token, caller: undefined };
  };
  const byAccessToken = async (token: string): Promise<Credential> => {
    const caller = await access.verify(token);
    return { partition: partitionFor(caller.userKey), routeToken: undefined, caller };
  };

  return {
    async read(query, headers) {
      const offered = [
        { token: parameter(query, 'route'), check: byRouteToken },
        { token: cookie(headers.cookie, routeCookie), check: byRouteToken },
        { token: bearerToken(headers.authorization), check: byAccessToken },
      ];
      let refused: PenstockError | undefined;
      for (const { token, check } of offered) {
        if (token === undefined || token === '') continue;
        try {
          return await check(token);
        } catch (error) {
          if (!(error instanceof PenstockError)) throw error;
          if (refused === undefined || rank(error) > rank(refused)) refused = error;
        }
      }
      throw refused ?? new PenstockError('UNAUTHENTICATED', 'no route or access token', { reason: 'missing' });
    },
  };
}

/** What the client is told when nothing holds: not knowing goes before having expired, that before being wrong. */
function rank(error: PenstockError): number {
  const fault = faultOf(error);
  if (fault === undefined) return 3;
  return { early: 2, expired: 2, invalid: 1, missing: 0 }[fault];
}
