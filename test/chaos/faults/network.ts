import type { Random } from '../../proof/random.ts';
import type { Stack } from '../../support/stack.ts';
import { type Direction, silence, whyNoSilence } from '../network/silence.ts';
import { namesOf, pause } from '../whole.ts';
import type { Fault, World } from './types.ts';

type Pair = readonly [string, string];
/** A pair of processes, drawn from the stack's. */
type Link = (stack: Stack, random: Random) => Pair;

const brokers = (stack: Stack) => stack.kafka.map((_, index) => `kafka-${index + 1}`);

const two = (names: readonly string[], random: Random): Pair => {
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

/** Pairs that are tried: a gateway that owns nothing just then says nothing to a broker. */
const mostPairs = 4;
/** Until a pair is drawn that was not yet. */
const mostDraws = 100;
const arrows: Readonly<Record<Direction, string>> = { both: '↮', to: '↛', from: '↚' };

/** Packets between two processes vanish, one way or both, also those of new connections; nothing is refused or reset. */
export const networkFaults: readonly Fault[] = Object.entries(links).map(([name, link]) => ({
  name: `network-${name}`,
  unavailable: whyNoSilence,
  inject: world => lose(world, link),
}));

async function lose(world: World, link: Link): Promise<void> {
  const quiet: string[] = [];
  while (quiet.length < mostPairs) {
    const pair = otherPair(world, link, quiet);
    if (pair === undefined) break;
    const dropped = await loseOnce(world, pair);
    if (dropped > 0 || world.signal.aborted) return;
    quiet.push(pair.join());
    world.log('nothing went between them: another pair');
  }
  throw new Error('nothing went between any of the pairs: no harm was done');
}

/** One that has not been quiet; undefined where all have. */
function otherPair({ stack, random }: World, link: Link, quiet: readonly string[]): Pair | undefined {
  for (let draw = 0; draw < mostDraws; draw++) {
    const pair = link(stack, random);
    if (!quiet.includes(pair.join())) return pair;
  }
  return undefined;
}

/** @returns packets lost. */
async function loseOnce({ stack, random, log, signal }: World, [one, other]: Pair): Promise<number> {
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
