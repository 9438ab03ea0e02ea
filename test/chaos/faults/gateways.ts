import { backUp, namesOf, pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

/** Longer than the control group's session time-out (6 s by default), ms. */
const zombieMs = 9_000;

/** What happens to gateways. */
export const gatewayFaults: readonly Fault[] = [
  {
    name: 'gateway-kill',
    inject: world => killOne(world, 'gateway', 'SIGKILL'),
  },
  {
    name: 'gateway-term',
    inject: world => killOne(world, 'gateway', 'SIGTERM'),
  },
  {
    /** A zombie: it comes back believing that it owns what others own by now. */
    name: 'gateway-pause',
    inject: world => pauseOne(world, 'gateway', zombieMs),
  },
  {
    name: 'rolling-restart',
    async inject({ stack, log, signal }) {
      for (const name of namesOf(stack, 'gateway')) {
        if (signal.aborted) return;
        log(`SIGTERM ${name}`);
        await backUp(stack, name, stack.kill(name, 'SIGTERM'), signal);
      }
    },
  },
  {
    /** Each leave is followed by a join: the stack starts a gateway again a second after it has drained. */
    name: 'gateway-churn',
    async inject({ stack, random, log, signal }) {
      const deadlineMs = performance.now() + 60_000;
      for (let count = 0; count < 20 && performance.now() < deadlineMs && !signal.aborted; count++) {
        const up = namesOf(stack, 'gateway');
        if (up.length > 0) {
          const name = random.pick(up);
          log(`${count + 1}: SIGTERM ${name}`);
          stack.kill(name, 'SIGTERM');
        }
        await pause(3_000, signal);
      }
    },
  },
];

/** Hits one process of a service, drawn at random; resolves when it is ready again. */
export async function killOne({ stack, random, log, signal }: World, service: string, how: NodeJS.Signals) {
  const name = random.pick(namesOf(stack, service));
  log(`${how} ${name}`);
  await backUp(stack, name, stack.kill(name, how), signal);
}

/** Stops one process of a service for a while. */
export async function pauseOne({ stack, random, log, signal }: World, service: string, ms: number) {
  const name = random.pick(namesOf(stack, service));
  log(`SIGSTOP ${name} for ${ms} ms`);
  const pid = stack.kill(name, 'SIGSTOP');
  try {
    await pause(ms, signal);
  } finally {
    if (stack.pid(name) === pid) stack.resume(name);
  }
}
