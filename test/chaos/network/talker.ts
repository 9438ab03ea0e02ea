/** A process that the tests of silence cut off: as `listen`, it echoes; else it connects and says what it hears. Talks by IPC. */
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';

const send = (message: object) => process.send?.(message);
const [role, port] = process.argv.slice(2);
if (role === 'listen') {
  const server = createServer(socket => {
    socket.on('error', () => undefined);
    socket.on('data', data => {
      send({ heard: String(data) });
      socket.write(data);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  if (typeof address === 'object') send({ port: address?.port });
} else {
  const sockets: Socket[] = [];
  /** `open` makes the next connection; `say` sends over one of them. */
  process.on('message', ({ open, say, over }: { open?: true; say?: string; over?: number }) => {
    if (open) {
      const nth = sockets.length;
      const socket = connect(Number(port), '127.0.0.1');
      sockets.push(socket);
      socket.on('connect', () => send({ opened: nth }));
      socket.on('data', data => send({ heard: String(data) }));
      socket.on('error', error => send({ error: error.message }));
      socket.on('close', () => send({ closed: nth }));
    }
    if (say !== undefined) sockets[over ?? 0]?.write(say);
  });
  send({ ready: true });
}
process.once('disconnect', () => process.exit(0));
