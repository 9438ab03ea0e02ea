import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import type { HttpHandler } from './graphql-http.ts';

const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.mjs': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.json': 'application/json',
  '.txt': 'text/plain; charset=utf-8',
};

interface Page {
  body: Buffer;
  headers: Readonly<Record<string, string>>;
}

/** The web app, read into memory once. */
export interface Site {
  /** Whether a path is one of its pages or files. */
  has(path: string): boolean;
  /** GET and HEAD. */
  serve: HttpHandler;
}

const maxSiteBytes = 64 * 1_048_576;

/** Reads the files of a folder that a browser may have: known types, nothing hidden. `index.html` is `/`. */
export async function loadSite(folder: string): Promise<Site> {
  const pages = new Map<string, Page>();
  let sizeBytes = 0;
  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    const file = join(entry.parentPath, entry.name);
    const path = `/${relative(folder, file).split(sep).join('/')}`;
    const type = types[extname(entry.name)];
    if (!entry.isFile() || type === undefined || path.includes('/.') || path.includes('/node_modules/')) continue;
    const body = await readFile(file);
    sizeBytes += body.length;
    if (sizeBytes > maxSiteBytes) throw new Error(`${folder} holds more than ${maxSiteBytes} bytes`);
    pages.set(path.replace(/\/index\.html$/, '/'), { body, headers: headersFor(type, body) });
  }
  return {
    has: path => pages.has(path),
    serve(request, response, { path }) {
      const page = pages.get(path);
      if (page === undefined) return Promise.reject(new Error(`no page ${path}`));
      const { etag } = page.headers;
      if (etag !== undefined && request.headers['if-none-match'] === etag) {
        response.writeHead(304, { etag }).end();
        return Promise.resolve();
      }
      response.writeHead(200, { ...page.headers, 'content-length': page.body.length });
      response.end(request.method === 'HEAD' ? undefined : page.body);
      return Promise.resolve();
    },
  };
}

function headersFor(type: string, body: Buffer): Readonly<Record<string, string>> {
  return {
    'content-type': type,
    etag: `"${createHash('sha256').update(body).digest('base64url')}"`,
    'cache-control': 'no-cache',
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'content-security-policy': policyFor(type.startsWith('text/html') ? body.toString('utf8') : ''),
  };
}

/** Only what comes from here; of what stands inside a page only its own style sheets, by their hashes. */
function policyFor(html: string): string {
  const styles = [...html.matchAll(/<style>([\s\S]*?)<\/style>/g)].map(
    ([, text = '']) => `'sha256-${createHash('sha256').update(text).digest('base64')}'`,
  );
  return [
    "default-src 'none'",
    "script-src 'self'",
    `style-src ${["'self'", ...styles].join(' ')}`,
    "img-src 'self' data:",
    "font-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'self'",
    "frame-ancestors 'none'",
  ].join('; ');
}
