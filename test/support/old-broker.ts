import { once } from 'node:events';
import { createConnection, createServer, type Socket } from 'node:net';
import { freePort } from './free-ports.ts';

/** A real broker behind a proxy that says of some of its APIs that it speaks older versions only. */
export interface OldBroker {
  /** host:port */
  address: string;
  /** The next connections are told the truth. */
  upgrade(): void;
  close(): Promise<void>;
}

/** What a broker of Kafka 3.0 says: API key → the newest version. */
export const kafka30: ReadonlyMap<number, number> = new Map([
  [1, 12], // Fetch
  [3, 11], // Metadata
]);

/** @param newest API key → the newest version that is owned to. */
export async function openOldBroker(target: string, newest: ReadonlyMap<number, number>): Promise<OldBroker> {
  const [host = '', port = ''] = target.split(':');
  const sockets = new Set<Socket>();
  let isOld = true;
  const server = createServer(client => {
    const broker = createConnection({ host, port: Number(port) });
    for (const [one, other] of [
      [client, broker],
      [broker, client],
    ] as const) {
      sockets.add(one);
      one.on('error', () => undefined);
      one.on('close', () => {
        sockets.delete(one);
        other.destroy();
      });
    }
    client.pipe(broker);
    if (!isOld) return void broker.pipe(client);
    let first = Buffer.alloc(0);
    broker.on('data', function collect(chunk: Buffer) {
      first = Buffer.concat([first, chunk]);
      if (first.length < 4 || first.length < 4 + first.readInt32BE(0)) return;
      broker.off('data', collect);
      lower(first, newest);
      client.write(first);
      broker.pipe(client);
    });
  });
  const own = await freePort();
  server.listen(own, '127.0.0.1');
  await once(server, 'listening');
  return {
    address: `127.0.0.1:${own}`,
    upgrade() {
      isOld = false;
    },
    async close() {
      for (const socket of sockets) socket.destroy();
      await new Promise(resolve => server.close(resolve));
    },
  };
}

/** The answer to ApiVersions (0 to 2), which is a connection's first: size, correlation id, error, (key, oldest, newest)*. */
function lower(answer: Buffer, newest: ReadonlyMap<number, number>): void {
  const count = answer.readInt32BE(10);
  for (let entry = 0; entry < count; entry++) {
    const at = 14 + entry * 6;
    const most = newest.get(answer.readInt16BE(at));
    if (most !== undefined) answer.writeInt16BE(most, at + 4);
  }
}
