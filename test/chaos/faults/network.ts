import type { Random } from '../../proof/random.ts';
import type { Stack } from '../../support/stack.ts';
import { type Direction, silence, whyNoSilence } from '../network/silence.ts';
import { namesOf, pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

/** A pair of processes, drawn from the stack's. */
type Link = (stack: Stack, random: Random) => readonly [string, string];

const brokers = (stack: Stack) => stack.kafka.map((_, index) => `kafka-${index + 1}`);

const two = (names: readonly string[], random: Random): readonly [string, string] => {
  const one = random.pick(names);
  return [one, random.pick(names.filter(name => name !== one))];
};

const links: Readonly<Record<string, Link>> = {
  'gateway-broker': (stack, random) => [random.pick(namesOf(stack, 'gateway')), random.pick(brokers(stack))],
  'gateway-redis': (stack, random) => [random.pick(namesOf(stack, 'gateway')), 'redis'],
  'gateway-gateway': (stack, random) => two(namesOf(stack, 'gateway'), random),
  'router-gateway': (stack, random) => [random.pick(namesOf(stack, 'router')), random.pick(namesOf(stack, 'gateway'))],
  'handler-postgres': (stack, random) => [random.pick(namesOf(stack, 'command-handler')), 'postgres'],
  'handler-broker': (stack, random) => [random.pick(namesOf(stack, 'command-handler')), random.pick(brokers(stack))],
  'broker-broker': (stack, random) => two(brokers(stack), random),
  'router-redis': (stack, random) => [random.pick(namesOf(stack, 'router')), 'redis'],
  'projector-broker': (stack, random) => [random.pick(namesOf(stack, 'projector')), random.pick(brokers(stack))],
  'projector-postgres': (stack, random) => [random.pick(namesOf(stack, 'projector')), 'postgres'],
};

/** A gateway that owns nothing just then says nothing to a broker. */
const mostDraws = 4;
const arrows: Readonly<Record<Direction, string>> = { both: '↮', to: '↛', from: '↚' };

/** Packets between two processes vanish, one way or both, also those of new connections; nothing is refused or reset. */
export const networkFaults: readonly Fault[] = Object.entries(links).map(([name, link]) => ({
  name: `network-${name}`,
  unavailable: whyNoSilence,
  inject: world => lose(world, link),
}));

async function lose(world: World, link: Link): Promise<void> {
  for (let draws = 1; ; draws++) {
    const dropped = await loseOnce(world, link);
    if (dropped > 0 || world.signal.aborted) return;
    if (draws === mostDraws) throw new Error('nothing went between any of the pairs: no harm was done');
    world.log('nothing went between them: another pair');
  }
}

/** @returns packets lost. */
async function loseOnce({ stack, random, log, signal }: World, link: Link): Promise<number> {
  const [one, other] = link(stack, random);
  const direction = random.pick<Direction>(['both', 'to', 'from']);
  const ms = random.integer(3_000, 15_000);
  const [pid, otherPid] = [stack.pid(one), stack.pid(other)];
  if (pid === undefined || otherPid === undefined) throw new Error(`${one} or ${other} does not run`);
  log(`${one} ${arrows[direction]} ${other} for ${ms} ms`);
  const silent = await silence(pid, otherPid, direction);
  try {
    await pause(ms, signal);
    const dropped = await silent.dropped();
    log(`${dropped} packets were lost`);
    return dropped;
  } finally {
    await silent.heal();
  }
}
