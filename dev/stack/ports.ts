import { createServer } from 'node:net';
import { Trouble } from './trouble.ts';

/**
 * Below what systems give to outgoing connections (Linux from 32768, macOS from 49152): there, a server that is
 * started again could find its port taken by somebody's connection.
 */
const first = 20_000;
const count = 12_000;

/** Whether the system gives it to no outgoing connection. */
export function isServerPort(port: number): boolean {
  return port >= first && port < first + count;
}

/** Loopback ports by name. A name keeps its port over restarts, as long as nobody else has taken it. */
export interface Ports {
  /** The port of a name; free when this returns. */
  take(name: string): Promise<number>;
  /** The ports given so far, to be kept with the data. */
  all(): Readonly<Record<string, number>>;
}

export function openPorts(
  kept: Readonly<Record<string, number>>,
  reserved: readonly number[],
  random: () => number = Math.random,
): Ports {
  const ports = new Map(Object.entries(kept));
  return {
    async take(name) {
      const spokenFor = (port: number) =>
        reserved.includes(port) || [...ports].some(([other, taken]) => other !== name && taken === port);
      let port = ports.get(name) ?? first + Math.floor(random() * count);
      for (let attempt = 0; ; attempt++) {
        if (attempt === 1_000) throw new Trouble(`no free port from ${first} to ${first + count - 1}`);
        if (!spokenFor(port)) {
          ports.set(name, port); // before the wait: other names are given ports meanwhile
          if (await isFree(port)) return port;
        }
        port = first + Math.floor(random() * count);
      }
    },
    all: () => Object.fromEntries(ports),
  };
}

/** Whether nobody listens on a loopback port: it can be bound, exclusively, at this moment. */
export async function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ port, host: '127.0.0.1', exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
