import { randomBytes, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage } from 'node:http';
import type { AddressInfo } from 'node:net';
import { z } from 'zod';
import type { Report } from './trouble.ts';

/** Takes the console's orders, which a router passes on: only the local stack has this. */
export interface Control {
  /** On loopback. Its path is a secret, so that no page of a browser on this machine can guess it. */
  url: string;
  close(): Promise<void>;
}

const order = z.strictObject({ instance: z.string().optional() });
const maxBodyBytes = 4_096;

/** @param killGateway kills the one of this name, or any; returns its name, or undefined where there is none. */
export async function openControl(
  killGateway: (name: string | undefined) => string | undefined,
  report: Report,
): Promise<Control> {
  const path = Buffer.from(`/${randomBytes(24).toString('base64url')}/kill`);
  const server = createServer((request, response) => {
    const answer = (status: number, text: string) =>
      void response.writeHead(status, { 'content-type': 'application/json', connection: 'close' }).end(text);
    const asked = Buffer.from(request.url ?? '');
    if (request.method !== 'POST' || asked.length !== path.length || !timingSafeEqual(asked, path)) {
      return answer(404, 'there is nothing here');
    }
    bodyOf(request)
      .then(body => {
        const { instance } = order.parse(JSON.parse(body));
        const killed = killGateway(instance);
        if (killed === undefined) return answer(409, `no gateway ${instance ?? ''} is up`);
        report(`the console has ${killed} killed`);
        answer(200, JSON.stringify({ killed }));
      })
      .catch(() => answer(400, 'no order that can be read'));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  server.unref();
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}${path}`,
    async close() {
      server.closeAllConnections();
      await new Promise<void>(resolve => server.close(() => resolve()));
    },
  };
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  let text = '';
  for await (const chunk of request) {
    text += String(chunk);
    if (text.length > maxBodyBytes) throw new Error('the body is too large');
  }
  return text;
}
