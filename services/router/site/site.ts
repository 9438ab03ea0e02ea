import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { HttpHandler } from '../graphql-http.ts';
import type { OwnOrigin } from '../origins/own-origin.ts';
import { preferredEncoding } from './accept-encoding.ts';
import { type PagePolicy, pageHeaders } from './page-headers.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.ttf': 'font/ttf',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

/** Content codings that the build makes, the best first, and how its files are called. */
const encodings = { br: '.br', gzip: '.gz' } as const;
type Encoding = keyof typeof encodings;

interface Variant {
  body: Buffer;
  etag: string;
}

interface File {
  type: string;
  /** Pages have a policy; what they load has none. */
  policy: PagePolicy | undefined;
  cacheControl: string;
  plain: Variant;
  encoded: ReadonlyMap<Encoding, Variant>;
}

/** The web app, read into memory once. */
export interface Site {
  /** Whether a path is one of its pages or files. */
  has(path: string): boolean;
  /** GET and HEAD. @param own the router's address, which pages may connect to. */
  handler(own: OwnOrigin): HttpHandler;
}

export interface SiteOptions {
  /** Where the build is. */
  folder: string;
  /** Without it there is nothing at `/graphiql`. */
  graphiql: boolean;
}

const maxSiteBytes = 64 * 1_048_576;
/** The build names these by their content. */
const hashed = /^\/assets\//;

/**
 * Reads what `npm run web` has built: `index.html` is `/`, `console/index.html` is `/console`.
 * @throws Error where nothing is built there.
 */
export async function loadSite({ folder, graphiql }: SiteOptions): Promise<Site> {
  const contents = await readFolder(folder);
  const files = new Map<string, File>();
  for (const [path, body] of contents) {
    const type = types[extname(path)];
    if (type === undefined || (!graphiql && path.startsWith('/graphiql/'))) continue;
    const file = fileOf(path, type, body, contents);
    for (const address of addressesOf(path)) files.set(address, file);
  }
  return {
    has: path => files.has(path),
    handler:
      own =>
      (request, response, { path }) => {
        const file = files.get(path);
        if (file === undefined) return Promise.reject(new Error(`no file ${path}`));
        const encoding = preferredEncoding(request.headers['accept-encoding'], file.encoded.keys());
        const { body, etag } = (encoding && file.encoded.get(encoding)) || file.plain;
        const headers = {
          etag,
          'cache-control': file.cacheControl,
          'x-content-type-options': 'nosniff',
          'cross-origin-resource-policy': 'same-origin',
          ...(file.encoded.size > 0 ? { vary: 'Accept-Encoding' } : {}),
          ...(file.policy === undefined ? {} : pageHeaders(file.policy, own(request)?.webSocket)),
        };
        if (isKnown(request.headers['if-none-match'], etag)) response.writeHead(304, headers).end();
        else {
          response.writeHead(200, {
            ...headers,
            'content-type': file.type,
            'content-length': body.length,
            ...(encoding === undefined ? {} : { 'content-encoding': encoding }),
          });
          response.end(request.method === 'HEAD' ? undefined : body);
        }
        return Promise.resolve();
      },
  };
}

/** The folder's files by their paths, which begin with a slash. Nothing hidden. */
async function readFolder(folder: string): Promise<ReadonlyMap<string, Buffer>> {
  const contents = new Map<string, Buffer>();
  const entries = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  let sizeBytes = 0;
  for (const entry of entries) {
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join('/')}`;
    if (!entry.isFile() || path.includes('/.')) continue;
    const body = await readFile(file);
    sizeBytes += body.length;
    if (sizeBytes > maxSiteBytes) throw new Error(`${folder} holds more than ${maxSiteBytes} bytes`);
    contents.set(path, body);
  }
  if (contents.has('/index.html')) return contents;
  throw new Error(`PENSTOCK_SITE_FOLDER: there are no pages in ${folder}; in a clone, npm run web builds them`);
}

function fileOf(path: string, type: string, body: Buffer, contents: ReadonlyMap<string, Buffer>): File {
  const isPage = type.startsWith('text/html');
  const variants = (Object.keys(encodings) as Encoding[]).flatMap(encoding => {
    const encoded = contents.get(path + encodings[encoding]);
    return encoded === undefined ? [] : [[encoding, variantOf(encoded)] as const];
  });
  return {
    type,
    policy: !isPage ? undefined : path.startsWith('/graphiql/') ? 'graphiql' : 'strict',
    cacheControl: hashed.test(path) ? 'public, max-age=31536000, immutable' : 'no-cache',
    plain: variantOf(body),
    encoded: new Map(variants),
  };
}

function variantOf(body: Buffer): Variant {
  return { body, etag: `"${createHash('sha256').update(body).digest('base64url')}"` };
}

/** `/console/index.html` is at `/console`, and at `/console/` too. */
function addressesOf(path: string): readonly string[] {
  if (path === '/index.html') return ['/'];
  const page = /^(.+)\/index\.html$/.exec(path)?.[1];
  return page === undefined ? [path] : [page, `${page}/`];
}

/** RFC 9110, 13.1.2: a list, compared weakly. */
function isKnown(header: string | undefined, etag: string): boolean {
  return (header ?? '').split(',').some(item => item.trim() === '*' || item.trim().replace(/^W\//, '') === etag);
}
