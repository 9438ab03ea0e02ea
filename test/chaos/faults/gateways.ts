import { until } from '../../support/until.ts';
import type { Place } from '../traps.ts';
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
    name: 'gateway-kill-before-delivery',
    inject: world => killAt(world, 'before-delivery'),
  },
  {
    /** Its client has the record, and nothing else knows of it yet. */
    name: 'gateway-kill-after-delivery',
    inject: world => killAt(world, 'after-delivery'),
  },
  {
    /** Its clients have the records, the replay buffer has not: the next owner finds the gap. */
    name: 'gateway-kill-before-append',
    inject: world => killAt(world, 'before-append'),
  },
  {
    /** The one that leaves dies when it asks a client to move on. */
    name: 'gateway-kill-in-handover',
    inject: world =>
      killAt(world, 'in-handover', async ({ stack, random, log }) => {
        const name = random.pick(namesOf(stack, 'gateway'));
        log(`SIGTERM ${name}`);
        stack.kill(name, 'SIGTERM');
      }),
  },
  {
    name: 'gateway-kill-in-replay',
    inject: world => killAt(world, world.random.pick(['in-replay', 'in-ring-replay']), comeAndGo),
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
      let left = 0;
      for (let count = 0; count < 20 && performance.now() < deadlineMs && !signal.aborted; count++) {
        // One that has just ended is still in the list of the stack for a moment.
        const up = namesOf(stack, 'gateway').filter(name => stack.pid(name) !== undefined);
        if (up.length > 0) {
          const name = random.pick(up);
          log(`${count + 1}: SIGTERM ${name}`);
          stack.kill(name, 'SIGTERM');
          left++;
        }
        await pause(3_000, signal);
      }
      if (left < 10 && !signal.aborted) throw new Error(`only ${left} gateways have left`);
    },
  },
];

/** Clients that were away for a moment: they replay. */
async function comeAndGo({ clients, random, signal }: World): Promise<void> {
  const comeBack = await clients.leave(random, clients.idle / 4);
  await pause(1_000, signal);
  comeBack();
}

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

/** How long a trap may wait for somebody to come to it, ms. */
const sprungWithinMs = 20_000;

/** Kills whoever first comes to a place of the source. `lure` makes somebody come, where they don't all the time. */
export async function killAt(world: World, place: Place, lure?: (world: World) => Promise<void>): Promise<void> {
  const { stack, traps, log, signal } = world;
  const before = new Map(stack.processes().map(({ name, pid }) => [name, pid]));
  const trap = traps.arm(place);
  try {
    await lure?.(world);
    await until(`somebody to die ${place}`, () => trap.sprung() || signal.aborted, sprungWithinMs);
  } finally {
    trap.disarm();
  }
  log(`a process has died ${place}`);
  for (const [name, pid] of before) {
    if (stack.processes().some(process => process.name === name && process.pid === pid)) continue;
    await backUp(stack, name, pid, signal);
  }
}
