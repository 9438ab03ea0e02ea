import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build } from 'esbuild';
import httpProxy from 'http-proxy';

/** A page of the test's own, on one origin with a router. */
export interface Site {
  url: string;
  close(): Promise<void>;
}

/** Strict, as the router's own pages have it: the client needs no more than this. */
const policy = "default-src 'none'; script-src 'self'; connect-src 'self'; img-src data:";
const html = `<!doctype html><html lang="en"><head><title>Test</title><link rel="icon" href="data:,"></head>
<body><main><h1>Test</h1></main><script type="module" src="/test/page.js"></script></body></html>`;

/** Serves `/test/` with the script, bundled, and hands everything else to the router. */
export async function openSite(script: string, routerUrl: string): Promise<Site> {
  const { outputFiles } = await build({
    entryPoints: [script],
    bundle: true,
    format: 'esm',
    platform: 'browser',
    write: false,
  });
  const bundled = outputFiles[0]?.text ?? '';
  const proxy = httpProxy.createProxyServer({ target: routerUrl });
  // Whoever breaks off a request hears no more of it.
  proxy.on('error', (_error, _request, answer) => void answer.end());
  const server = createServer((request: IncomingMessage, response: ServerResponse) => {
    const path = new URL(request.url ?? '', routerUrl).pathname;
    if (!path.startsWith('/test/')) return proxy.web(request, response);
    const isScript = path === '/test/page.js';
    response.writeHead(200, {
      'content-type': isScript ? 'text/javascript' : 'text/html',
      'content-security-policy': policy,
    });
    response.end(isScript ? bundled : html);
  });
  server.on('upgrade', (request, socket, head) => {
    socket.on('error', () => socket.destroy());
    proxy.ws(request, socket, head);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
}
