import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import type { KeyStore } from '../../lib/auth/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import type { LimitRefusals, Logger, Transport } from '../../lib/ops/index.ts';
import { answerError, answerJson, HttpRefusal } from './answers.ts';
import type { HttpHandler } from './graphql-http.ts';
import {
  type AllowedOrigins,
  answerPreflight,
  foreignOrigin,
  isPreflight,
  shareWith,
} from './origins/allowed-origins.ts';
import { targetOf } from './request-target.ts';

export interface Endpoints {
  login: HttpHandler;
  route: HttpHandler;
  graphql: HttpHandler;
  jwks: HttpHandler;
  site: { has(path: string): boolean; serve: HttpHandler };
}

interface Endpoint {
  methods: readonly string[];
  handler: HttpHandler;
  /** Whether pages of other origins may use it, where they are listed; no others get through. */
  forPages?: boolean;
}

/** Which handler a path and a method lead to. Never rejects; every error is answered in JSON. */
export function requestListener(
  endpoints: Endpoints,
  origins: AllowedOrigins,
  refusals: LimitRefusals,
  log: Logger,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const paths: Readonly<Record<string, Endpoint>> = {
    '/login': { methods: ['POST'], handler: endpoints.login, forPages: true },
    '/route': { methods: ['POST'], handler: endpoints.route, forPages: true },
    '/graphql': { methods: ['GET', 'POST'], handler: endpoints.graphql, forPages: true },
    '/.well-known/jwks.json': { methods: ['GET', 'HEAD'], handler: endpoints.jwks },
  };
  const find = (path: string): Endpoint => {
    const found = Object.hasOwn(paths, path) ? paths[path] : undefined;
    if (found !== undefined) return found;
    if (endpoints.site.has(path)) return { methods: ['GET', 'HEAD'], handler: endpoints.site.serve };
    throw new HttpRefusal(404, 'BAD_USER_INPUT', 'there is nothing at this path');
  };

  return async (request, response) => {
    try {
      const target = targetOf(request.url);
      const { methods, handler, forPages } = find(target.path);
      if (forPages) {
        checkOrigin(request, response, origins);
        if (isPreflight(request)) return answerPreflight(request, response, methods);
      }
      if (!methods.includes(request.method ?? '')) {
        const allow = methods.join(', ');
        throw new HttpRefusal(405, 'BAD_USER_INPUT', `the method must be ${allow}`, { allow });
      }
      await handler(request, response, target);
    } catch (error) {
      if (error instanceof PenstockError) refusals.countErrors([coded(error)], transportOf(request));
      if (response.destroyed) return;
      const { traceparent } = request.headers;
      if (!(error instanceof PenstockError)) {
        log.error({ event: 'request_failed', error, traceparent }, 'a request failed');
      }
      if (response.headersSent) response.destroy();
      else answerError(response, error);
    }
  };
}

/** Lets a listed page read the answer. @throws PenstockError FORBIDDEN for a page that may not ask. */
function checkOrigin(request: IncomingMessage, response: ServerResponse, origins: AllowedOrigins): void {
  const sender = origins.senderOf(request);
  if (sender === 'foreign') throw new PenstockError('FORBIDDEN', foreignOrigin);
  if (sender === 'listed') shareWith(request.headers.origin ?? '', response);
}

function coded({ code, extensions }: PenstockError) {
  return { extensions: { ...extensions, code } };
}

function transportOf({ headers }: IncomingMessage): Transport {
  return headers.accept?.startsWith('text/event-stream') === true ? 'sse' : 'http';
}

/** The public keys. May be cached for less time than a new key is published before it signs. */
export function jwksHandler(keys: KeyStore): HttpHandler {
  return (request, response) => {
    const body = keys.jwks();
    const etag = `"${createHash('sha256').update(JSON.stringify(body)).digest('base64url')}"`;
    const headers = { etag, 'cache-control': `public, max-age=${keys.jwksMaxAgeSeconds}` };
    if (request.headers['if-none-match'] === etag) response.writeHead(304, headers).end();
    else answerJson(response, 200, body, headers);
    return Promise.resolve();
  };
}
