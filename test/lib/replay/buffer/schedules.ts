import fc from 'fast-check';
import { type BufferWorld, keys } from './buffer-world.ts';
import type { FaultyStore } from './simulated-store.ts';

export type Step =
  | { step: 'append'; key: string | undefined; gap: number; count: number }
  | { step: 'show'; gateway: number; count: number }
  | { step: 'keep'; gateway: number; rounds: number }
  | { step: 'work' | 'execute' | 'deliver' | 'time-out' | 'haunt' | 'learn' | 'crash'; gateway: number }
  | { step: 'notice' | 'restart'; gateway: number }
  | { step: 'deaf'; gateway: number }
  | { step: 'squeeze'; gateway: number; count: number }
  | { step: 'assign'; gateway: number; anew: boolean; learns: boolean }
  | { step: 'read'; key: string; back: number }
  | { step: 'expire' | 'trim'; key: string }
  | { step: 'evict'; part: 'last' | 'window' | 'times' }
  | { step: 'age'; back: number }
  | { step: 'flush' | 'replicate' | 'fail-over' | 'recreate' };

const nat = (max: number) => fc.nat({ max });
const gateway = nat(2);
const key = fc.constantFrom(...keys);
const of = <Kind extends string>(...kinds: [Kind, ...Kind[]]) => fc.constantFrom(...kinds);

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 12,
    arbitrary: fc.record({
      step: of('append'),
      key: fc.oneof({ weight: 8, arbitrary: key }, { weight: 1, arbitrary: fc.constant(undefined) }),
      gap: fc.oneof(fc.constant(0), nat(1)),
      count: fc.integer({ min: 1, max: 3 }),
    }),
  },
  { weight: 10, arbitrary: fc.record({ step: of('show'), gateway, count: fc.integer({ min: 1, max: 4 }) }) },
  // A gateway whose requests are answered at once: else hardly anything would get done.
  { weight: 14, arbitrary: fc.record({ step: of('keep'), gateway, rounds: fc.integer({ min: 1, max: 5 }) }) },
  { weight: 8, arbitrary: fc.record({ step: of('work', 'execute', 'deliver'), gateway }) },
  { weight: 2, arbitrary: fc.record({ step: of('time-out', 'haunt'), gateway }) },
  { weight: 4, arbitrary: fc.record({ step: of('learn'), gateway }) },
  {
    weight: 4,
    arbitrary: fc.record({
      step: of('assign'),
      gateway,
      anew: fc.integer({ min: 0, max: 5 }).map(n => n === 0),
      learns: fc.boolean(),
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: of('crash', 'deaf'), gateway }) },
  { weight: 2, arbitrary: fc.record({ step: of('notice', 'restart'), gateway }) },
  { weight: 2, arbitrary: fc.record({ step: of('squeeze'), gateway, count: fc.integer({ min: 1, max: 4 }) }) },
  { weight: 12, arbitrary: fc.record({ step: of('read'), key, back: nat(12) }) },
  { weight: 2, arbitrary: fc.record({ step: of('expire', 'trim'), key }) },
  { weight: 1, arbitrary: fc.record({ step: of('evict'), part: fc.constantFrom('last', 'window', 'times') }) },
  { weight: 2, arbitrary: fc.record({ step: of('age'), back: nat(6) }) },
  { weight: 1, arbitrary: fc.record({ step: of('flush', 'recreate') }) },
  { weight: 1, arbitrary: fc.record({ step: of('fail-over') }) },
  { weight: 3, arbitrary: fc.record({ step: of('replicate') }) },
);

export const schedules: fc.Arbitrary<readonly Step[]> = fc.array(step, { maxLength: 120, size: 'max' });

export async function play(world: BufferWorld, store: FaultyStore, steps: readonly Step[]): Promise<void> {
  for (const item of steps) {
    switch (item.step) {
      case 'append':
        for (let count = 0; count < item.count; count += 1) world.append(item.key, item.gap);
        break;
      case 'show':
        world.show(item.gateway, item.count);
        break;
      case 'keep':
        for (let round = 0; round < item.rounds; round += 1) {
          world.work(item.gateway, false);
          await world.execute(item.gateway);
          world.deliver(item.gateway);
        }
        break;
      case 'work':
      case 'deaf':
        world.work(item.gateway, item.step === 'deaf');
        break;
      case 'execute':
        await world.execute(item.gateway);
        break;
      case 'deliver':
        world.deliver(item.gateway);
        break;
      case 'time-out':
        world.timeOut(item.gateway);
        break;
      case 'haunt':
        await world.haunt(item.gateway);
        break;
      case 'learn':
        world.learn(item.gateway);
        break;
      case 'crash':
        world.crash(item.gateway);
        break;
      case 'notice':
        world.notice(item.gateway);
        break;
      case 'restart':
        world.restart(item.gateway);
        break;
      case 'squeeze':
        world.squeeze(item.gateway, item.count);
        break;
      case 'assign':
        world.assign(item.gateway, item.anew);
        if (item.learns) world.learn(item.gateway);
        break;
      case 'read':
        await world.read(item.key, Math.max(-1, world.end - 1 - item.back));
        break;
      case 'expire':
        await store.expire(item.key);
        break;
      case 'trim':
        await store.trim(item.key);
        break;
      case 'evict':
        await store.evict(item.part);
        if (item.part === 'window') world.forgets();
        break;
      case 'age':
        store.age(Math.max(0, world.end - item.back));
        break;
      case 'flush':
        await store.flush();
        world.forgets();
        break;
      case 'replicate':
        await store.replicate();
        break;
      case 'fail-over':
        await store.failOver();
        world.forgets();
        break;
      case 'recreate':
        world.recreate();
        store.age(0);
        break;
    }
  }
}
