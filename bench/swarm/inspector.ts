import { WebSocket } from 'ws';
import { until } from '../../test/support/until.ts';

/** Node's inspector, as SIGUSR1 opens it: one process at a time can have it. */
const address = 'http://127.0.0.1:9229/json/list';

/** Of a process that runs: the DevTools protocol. */
export interface Inspector {
  call(method: string, params?: object): Promise<unknown>;
  close(): void;
}

export async function openInspector(pid: number): Promise<Inspector> {
  process.kill(pid, 'SIGUSR1');
  const [target] = await until('the inspector', async () => {
    const answer = await fetch(address).catch(() => undefined);
    return answer && ((await answer.json()) as { webSocketDebuggerUrl: string }[]);
  });
  const socket = new WebSocket(target?.webSocketDebuggerUrl ?? '');
  const waiting = new Map<number, (result: unknown) => void>();
  let id = 0;
  socket.on('message', data => {
    const { id, result } = JSON.parse(String(data));
    waiting.get(id)?.(result);
    waiting.delete(id);
  });
  await new Promise(resolve => socket.once('open', resolve));
  return {
    call: (method, params = {}) =>
      new Promise(resolve => {
        waiting.set(++id, resolve);
        socket.send(JSON.stringify({ id, method, params }));
      }),
    close: () => socket.close(),
  };
}
