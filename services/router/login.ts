import type { KeyStore, LocalUsers } from '../../lib/auth/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import { answerJson, HttpRefusal } from './answers.ts';
import { readBody } from './body.ts';
import type { HttpHandler } from './graphql-http.ts';
import type { AllowedOrigins } from './origins/allowed-origins.ts';
import type { OriginReader } from './origins/client-origin.ts';

/** `POST /login`: name and password for an access token. @param users undefined where another issuer makes the tokens. */
export function loginHandler(
  users: LocalUsers | undefined,
  keys: KeyStore,
  { origin, origins }: { origin: OriginReader; origins: AllowedOrigins },
  maxBodyBytes: number,
): HttpHandler {
  return async (request, response) => {
    if (users === undefined) {
      throw new HttpRefusal(404, 'BAD_USER_INPUT', 'access tokens are issued elsewhere: see PENSTOCK_AUTH_ISSUER');
    }
    // Any content type will do, so that a bare curl works; what a browser sends for another site will not.
    if (request.headers['sec-fetch-site'] === 'cross-site' && origins.senderOf(request) !== 'listed') {
      throw new PenstockError('FORBIDDEN', 'no logins from other sites');
    }
    const credentials = parseJson(await readBody(request, maxBodyBytes, 'PENSTOCK_LOGIN_MAX_BODY_BYTES'));
    const { address } = origin(request.headers, request.socket.remoteAddress);
    const signed = await keys.signAccess(await users.logIn(credentials, address));
    answerJson(response, 200, {
      accessToken: signed.token,
      tokenType: 'Bearer',
      expiresIn: signed.expiresInSeconds,
    });
  };
}

function parseJson(body: Buffer): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new PenstockError('BAD_USER_INPUT', 'the body is not JSON');
  }
}
