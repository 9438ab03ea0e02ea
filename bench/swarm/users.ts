import { generateKeyPair, type KeyObject, sign } from 'node:crypto';
import { promisify } from 'node:util';
import { type JwksServer, jwksServer } from '../../test/support/jwks-server.ts';

/** An issuer of the swarm's own: the local one hashes passwords slowly on purpose. */
export interface Issuer {
  /** For the services. */
  env: Readonly<Record<string, string>>;
  accessToken(user: string): string;
  close(): Promise<void>;
}

/** Signs as the local issuer does: ES256. */
export async function openIssuer(): Promise<Issuer> {
  const { publicKey, privateKey } = await promisify(generateKeyPair)('ec', { namedCurve: 'P-256' });
  const kid = 'swarm';
  const jwks: JwksServer = await jwksServer({
    keys: [{ ...publicKey.export({ format: 'jwk' }), kid, alg: 'ES256', use: 'sig' }],
  });
  const iss = 'https://swarm.example';
  return {
    env: { PENSTOCK_AUTH_ISSUER: iss, PENSTOCK_AUTH_JWKS_URL: jwks.url },
    accessToken(user) {
      const iat = Math.floor(Date.now() / 1_000);
      return signed({ alg: 'ES256', typ: 'at+jwt', kid }, { iss, aud: 'penstock', sub: user, iat, exp: iat + 3_600 });
    },
    close: () => jwks.close(),
  };

  function signed(header: object, payload: object): string {
    const input = [header, payload].map(part => Buffer.from(JSON.stringify(part)).toString('base64url')).join('.');
    const key: { key: KeyObject; dsaEncoding: 'ieee-p1363' } = { key: privateKey, dsaEncoding: 'ieee-p1363' };
    return `${input}.${sign('sha256', Buffer.from(input), key).toString('base64url')}`;
  }
}

/** `count` user keys that the filter wants, the same ones each time. */
export function usersWhere(count: number, wanted: (user: string) => boolean): string[] {
  const users: string[] = [];
  for (let index = 0; users.length < count; index++) {
    const user = `swarm-${index}`;
    if (wanted(user)) users.push(user);
  }
  return users;
}
