import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request as httpRequest, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { originReader } from '../../../../services/router/origins/client-origin.ts';
import { ownOrigin } from '../../../../services/router/origins/own-origin.ts';
import { loadSite } from '../../../../services/router/site/site.ts';

const script = `console.log(${'1'.repeat(2_000)})`;
let folder: string;
let server: Server;

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-site-'));
  const files = {
    'index.html': '<title>Bank</title>',
    'console/index.html': '<title>Console</title>',
    'graphiql/index.html': '<title>GraphiQL</title>',
    'assets/bank-abc.js': script,
    'assets/bank-abc.js.br': brotliCompressSync(script),
    'assets/bank-abc.js.gz': gzipSync(script),
    'assets/bank-abc.js.map': '{}',
    '.hidden/a.js': 'secret',
  };
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true });
    await writeFile(join(folder, name), content);
  }
  server = await serve(true);
});
after(async () => {
  server.close();
  await rm(folder, { recursive: true });
});

/** What the router does with a site, without the rest of it. */
async function serve(graphiql: boolean): Promise<Server> {
  const site = await loadSite({ folder, graphiql });
  const handler = site.handler(ownOrigin(originReader(['127.0.0.1'])));
  const made = createServer((request, response) => {
    const path = request.url ?? '';
    if (site.has(path)) void handler(request, response, { path, query: '' });
    else response.writeHead(404).end();
  });
  await new Promise<void>(resolve => made.listen(0, '127.0.0.1', resolve));
  return made;
}

interface Answer {
  status: number;
  headers: IncomingHttpHeaders;
  body: Buffer;
}

/** Not by fetch(), which decodes. */
function get(path: string, headers: Record<string, string> = {}, at = server, method = 'GET'): Promise<Answer> {
  const { port } = at.address() as AddressInfo;
  return new Promise((resolve, reject) => {
    const made = httpRequest({ port, path, headers, method, host: '127.0.0.1' }, response => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      );
    });
    made.on('error', reject);
    made.end();
  });
}

test('each page has its path, with and without a slash at its end', async () => {
  for (const [path, title] of Object.entries({ '/': 'Bank', '/console': 'Console', '/console/': 'Console' })) {
    const { status, headers, body } = await get(path);
    assert.equal(status, 200, path);
    assert.equal(headers['content-type'], 'text/html; charset=utf-8');
    assert.match(body.toString(), new RegExp(`<title>${title}<`));
  }
  for (const path of ['/index.html', '/assets', '/assets/bank-abc.js.map', '/assets/bank-abc.js.br', '/.hidden/a.js']) {
    assert.equal((await get(path)).status, 404, path);
  }
});

test('GraphiQL is there unless it is switched off', async () => {
  assert.equal((await get('/graphiql')).status, 200);
  const without = await serve(false);
  assert.equal((await get('/graphiql', {}, without)).status, 404);
  assert.equal((await get('/console', {}, without)).status, 200);
  without.close();
});

test('a page is asked for again each time; what it loads is kept for ever', async () => {
  const page = await get('/');
  assert.equal(page.headers['cache-control'], 'no-cache');
  const etag = page.headers.etag ?? '';
  for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
    const again = await get('/', { 'if-none-match': known });
    assert.deepEqual([again.status, again.body.length, again.headers.etag], [304, 0, etag]);
    assert.ok(again.headers['content-security-policy']);
  }
  assert.equal((await get('/', { 'if-none-match': '"other"' })).status, 200);
  assert.equal((await get('/assets/bank-abc.js')).headers['cache-control'], 'public, max-age=31536000, immutable');
});

test('what was compressed at build time is sent to whoever accepts it, under a tag of its own', async () => {
  const plain = await get('/assets/bank-abc.js');
  assert.equal(plain.body.toString(), script);
  assert.equal(plain.headers['content-encoding'], undefined);
  const brotli = await get('/assets/bank-abc.js', { 'accept-encoding': 'gzip, br' });
  assert.equal(brotli.headers['content-encoding'], 'br');
  assert.equal(brotliDecompressSync(brotli.body).toString(), script);
  const gzip = await get('/assets/bank-abc.js', { 'accept-encoding': 'gzip' });
  assert.equal(gzip.headers['content-encoding'], 'gzip');
  assert.equal(gunzipSync(gzip.body).toString(), script);
  for (const { headers } of [plain, brotli, gzip]) {
    assert.equal(headers.vary, 'Accept-Encoding');
    assert.equal(headers['content-type'], 'text/javascript; charset=utf-8');
  }
  assert.equal(new Set([plain, brotli, gzip].map(({ headers }) => headers.etag)).size, 3);
});

test('HEAD has the headers of GET', async () => {
  const { headers, body } = await get('/assets/bank-abc.js', {}, server, 'HEAD');
  assert.equal(headers['content-length'], String(script.length));
  assert.equal(body.length, 0);
});

const policyOf = async (path: string, headers: Record<string, string> = {}): Promise<Map<string, string>> => {
  const text = String((await get(path, headers)).headers['content-security-policy']);
  return new Map(
    text.split('; ').map(directive => {
      const [name = '', ...values] = directive.split(' ');
      return [name, values.join(' ')];
    }),
  );
};

test('a page loads nothing from elsewhere and runs nothing that stands in it', async () => {
  for (const path of ['/', '/console']) {
    const policy = await policyOf(path);
    assert.equal(policy.get('default-src'), "'none'");
    assert.equal(policy.get('script-src'), "'self'");
    assert.equal(policy.get('style-src'), "'self'");
    assert.equal(policy.get('frame-ancestors'), "'none'");
    assert.doesNotMatch([...policy.values()].join(' '), /unsafe|\*/);
    const { headers } = await get(path);
    assert.match(String(headers['permissions-policy']), /camera=\(\)/);
    assert.equal(headers['referrer-policy'], 'no-referrer');
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.equal(headers['strict-transport-security'], undefined);
  }
});

test('GraphiQL alone may write style sheets into itself, and start workers', async () => {
  const policy = await policyOf('/graphiql');
  assert.equal(policy.get('style-src'), "'self' 'unsafe-inline'");
  assert.equal(policy.get('worker-src'), "'self'");
  assert.equal(policy.get('script-src'), "'self'");
  assert.equal((await policyOf('/')).get('worker-src'), undefined);
});

test('a page may open WebSockets to the address that it came from, named for browsers that do not count them as self', async () => {
  const { port } = server.address() as AddressInfo;
  assert.equal((await policyOf('/')).get('connect-src'), `'self' ws://127.0.0.1:${port}`);
  const proxied = { host: 'bank.example', 'x-forwarded-proto': 'https' };
  assert.equal((await policyOf('/', proxied)).get('connect-src'), "'self' wss://bank.example");
  assert.equal((await policyOf('/', { host: "x; script-src 'unsafe-inline'" })).get('connect-src'), "'self'");
});

test('a folder without pages is refused with the command that makes them', async () => {
  await assert.rejects(loadSite({ folder: join(folder, 'assets'), graphiql: true }), /npm run web/);
});
