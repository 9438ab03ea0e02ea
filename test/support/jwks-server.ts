import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface JwksServer {
  url: string;
  /** What it serves from now on; undefined answers 503. */
  serve(keys: { keys: object[] } | undefined): void;
  requests(): number;
  close(): Promise<void>;
}

/** An issuer's JWKS endpoint. `port`: take this one, to come back after a close. */
export async function jwksServer(first: { keys: object[] } | undefined, port = 0): Promise<JwksServer> {
  let served = first;
  let requests = 0;
  const server = createServer((_request, response) => {
    requests++;
    if (served === undefined) response.writeHead(503).end();
    else response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(served));
  });
  await new Promise<void>(resolve => server.listen(port, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks`,
    serve(keys) {
      served = keys;
    },
    requests: () => requests,
    async close() {
      server.closeAllConnections();
      await new Promise(resolve => server.close(resolve));
    },
  };
}
