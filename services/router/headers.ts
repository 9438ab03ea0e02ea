import type { IncomingHttpHeaders, OutgoingHttpHeaders } from 'node:http';

/** What concerns one connection only (RFC 9110, 7.6.1), and what proxies used to invent. */
const hopByHop: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-authenticate',
  'proxy-authorization',
  'proxy-connection',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
  'http2-settings',
  'expect',
]);

/** Names under which servers behind a proxy look for who is calling or from where: only the router may set them. */
const identity =
  /^(penstock-|x-forwarded|forwarded$|x-real-ip$|x-client-|true-client-ip$|x-user|x-remote-|x-auth|x-identity|remote[-_]user$|x-ssl|x-original-|x-rewrite-)/;

/** What the router itself says to a gateway. */
export interface RouterHeaders {
  /** Undefined towards who stands in for the owner. */
  routeToken: string | undefined;
  traceparent: string;
  clientAddress: string;
  secure: boolean;
}

/**
 * The headers of an HTTP request to a gateway: the client's, without what concerns its connection to the router,
 * without claims of identity, without cookies (the cookie means nothing over HTTP); `Authorization` stays.
 */
export function httpHeaders(
  incoming: IncomingHttpHeaders,
  router: RouterHeaders,
  contentLength: number | undefined,
): OutgoingHttpHeaders {
  const headers = { ...endToEnd(incoming), ...spoken(router) };
  delete headers.cookie;
  delete headers['content-length'];
  if (contentLength !== undefined) headers['content-length'] = String(contentLength);
  return headers;
}

/** The headers of an upgrade request to a gateway: the handshake and what is harmless; no credential but the route token. */
export function upgradeHeaders(
  incoming: IncomingHttpHeaders,
  router: RouterHeaders,
  protocol: string,
): OutgoingHttpHeaders {
  const headers = { ...endToEnd(incoming), ...spoken(router) };
  delete headers.cookie;
  delete headers.authorization;
  delete headers['content-length'];
  return { ...headers, connection: 'Upgrade', upgrade: 'websocket', 'sec-websocket-protocol': protocol };
}

/** The headers of an answer to the client, with repeated ones kept apart, in pairs as `rawHeaders` has them. */
export function answerHeaders(rawHeaders: readonly string[]): string[] {
  const named = new Set<string>();
  for (let index = 0; index < rawHeaders.length; index += 2) {
    if (rawHeaders[index]?.toLowerCase() !== 'connection') continue;
    for (const name of namedIn(rawHeaders[index + 1])) named.add(name);
  }
  const kept: string[] = [];
  for (let index = 0; index < rawHeaders.length; index += 2) {
    const name = rawHeaders[index] ?? '';
    const lower = name.toLowerCase();
    if (!hopByHop.has(lower) && !named.has(lower)) kept.push(name, rawHeaders[index + 1] ?? '');
  }
  return kept;
}

function endToEnd(incoming: IncomingHttpHeaders): OutgoingHttpHeaders {
  const named = namedIn(incoming.connection);
  const headers: OutgoingHttpHeaders = {};
  for (const [name, value] of Object.entries(incoming)) {
    if (value === undefined || hopByHop.has(name) || named.has(name) || identity.test(name)) continue;
    headers[name] = value;
  }
  return headers;
}

function namedIn(connection: string | undefined): ReadonlySet<string> {
  return new Set((connection ?? '').split(',').map(name => name.trim().toLowerCase()));
}

function spoken({ routeToken, traceparent, clientAddress, secure }: RouterHeaders): OutgoingHttpHeaders {
  return {
    ...(routeToken === undefined ? {} : { 'penstock-route': routeToken }),
    traceparent,
    'x-forwarded-for': clientAddress,
    'x-forwarded-proto': secure ? 'https' : 'http',
  };
}
