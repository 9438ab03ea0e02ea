import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';

/** A way to a server that takes its time. */
export interface Far {
  url: string;
  close(): Promise<void>;
}

/** Relays TCP to `url`: the handshake takes a round trip of `rttMs`, and each chunk half of one, in order. */
export async function openFar(url: string, rttMs: number): Promise<Far> {
  const { hostname, port } = new URL(url);
  const open = new Set<Socket>();
  const server = createServer({ noDelay: true }, async near => {
    near.pause();
    keep(near);
    await sleep(rttMs);
    const far = connect({ host: hostname, port: Number(port), noDelay: true });
    keep(far);
    delay(near, far);
    near.resume();
    delay(far, near);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    async close() {
      server.close();
      for (const socket of open) socket.destroy();
    },
  };

  function keep(socket: Socket): void {
    open.add(socket);
    socket.on('error', () => undefined); // its close is handed on
    socket.on('close', () => open.delete(socket));
  }

  function delay(from: Socket, to: Socket): void {
    // Timers of one length run in the order in which they were set.
    const later = (act: () => void) => setTimeout(() => to.destroyed || act(), rttMs / 2);
    from.on('data', chunk => later(() => to.write(chunk)));
    from.on('end', () => later(() => to.end()));
    from.on('close', () => later(() => to.end()));
  }
}
