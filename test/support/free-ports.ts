import { openPorts } from '../../dev/stack/ports.ts';

/**
 * Ports for servers that come and go during a test. Never one that the system has picked (`listen(0)`): those are for
 * outgoing connections too, and whoever tries again and again to reach a closed one can be given that very port to try
 * from; it is connected to itself then, and the server can't come back.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports = openPorts({}, []);
  return Promise.all(Array.from({ length: count }, (_, index) => ports.take(String(index))));
}

export async function freePort(): Promise<number> {
  return openPorts({}, []).take('only');
}
