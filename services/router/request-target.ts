/** The parts of a request's target that the router looks at. Strings are taken as they came; nothing is re-encoded. */
export interface RequestTarget {
  path: string;
  /** Without the question mark; empty when there is none. */
  query: string;
}

/** `GET /graphql?a=b` and `GET http://host/graphql?a=b` (absolute form, RFC 9112, 3.2.2) are the same. */
export function targetOf(url: string | undefined): RequestTarget {
  const relative = (url ?? '/').replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').replace(/#.*$/, '');
  const mark = relative.indexOf('?');
  const path = mark === -1 ? relative : relative.slice(0, mark);
  return { path: path === '' ? '/' : path, query: mark === -1 ? '' : relative.slice(mark + 1) };
}

/** First value of a query parameter. */
export function parameter(query: string, name: string): string | undefined {
  return new URLSearchParams(query).get(name) ?? undefined;
}

/** The query without that parameter, everything else byte for byte. */
export function withoutParameter(query: string, name: string): string {
  return query
    .split('&')
    .filter(pair => !new URLSearchParams(pair).has(name))
    .join('&');
}

/** Value of the first cookie of that name (RFC 6265, 5.4). */
export function cookie(header: string | undefined, name: string): string | undefined {
  for (const pair of (header ?? '').split(';')) {
    const equals = pair.indexOf('=');
    if (equals !== -1 && pair.slice(0, equals).trim() === name) {
      return pair
        .slice(equals + 1)
        .trim()
        .replace(/^"(.*)"$/, '$1');
    }
  }
  return undefined;
}

/** The token of `Authorization: Bearer <token>` (RFC 6750, 2.1). */
export function bearerToken(authorization: string | undefined): string | undefined {
  return /^bearer +([\w\-.~+/]+=*) *$/i.exec(authorization ?? '')?.[1];
}
