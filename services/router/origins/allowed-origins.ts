import type { IncomingMessage, ServerResponse } from 'node:http';
import type { OwnOrigin } from './own-origin.ts';

/**
 * Which page sent a request: `none` (no Origin header: no browser, or nothing that another site could have caused), one of this router
 * (`own`), one of the configured list (`listed`), or any other (`foreign`).
 */
export type Sender = 'none' | 'own' | 'listed' | 'foreign';

export interface AllowedOrigins {
  senderOf(request: Pick<IncomingMessage, 'headers' | 'socket'>): Sender;
}

/** What a refusal says, whatever the protocol. */
export const foreignOrigin = 'pages of this origin are not allowed here (PENSTOCK_HTTP_ALLOWED_ORIGINS)';

/** @param listed origins as browsers write them, besides the router's own. */
export function allowedOrigins(listed: readonly string[], own: OwnOrigin): AllowedOrigins {
  const others = new Set(listed);
  return {
    senderOf(request) {
      const { origin } = request.headers;
      if (origin === undefined) return 'none';
      if (own(request)?.origins.includes(origin)) return 'own';
      return others.has(origin) ? 'listed' : 'foreign';
    },
  };
}

/** Answers to requests that a page may read beside the body: when to come again, and what a token lacks. */
const exposed = 'Retry-After, WWW-Authenticate';
/** The longest time that Chromium keeps the answer to a preflight, s. */
const maxAgeSeconds = 7_200;

/**
 * Lets a page of a listed origin read the answer (Fetch, 3.2). Without `Access-Control-Allow-Credentials`: cookies stay out of it, since
 * access tokens are sent by the page itself.
 */
export function shareWith(origin: string, response: ServerResponse): void {
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-expose-headers', exposed);
  response.appendHeader('vary', 'Origin');
}

/** Whether a request asks what a page may send (Fetch, 3.2.2). */
export function isPreflight({ method, headers }: Pick<IncomingMessage, 'method' | 'headers'>): boolean {
  return method === 'OPTIONS' && headers.origin !== undefined && 'access-control-request-method' in headers;
}

/** Answers a preflight of a page that may use the path: with these methods, and any headers, of which the router hands on what is harmless. */
export function answerPreflight(request: IncomingMessage, response: ServerResponse, methods: readonly string[]): void {
  const wanted = String(request.headers['access-control-request-headers'] ?? '');
  response
    .writeHead(204, {
      'access-control-allow-methods': methods.join(', '),
      ...(/^[\w!#$%&'*+.^`|~, -]+$/.test(wanted) ? { 'access-control-allow-headers': wanted } : {}),
      'access-control-max-age': String(maxAgeSeconds),
    })
    .end();
}
