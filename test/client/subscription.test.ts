import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Connection, Member } from '../../client/src/connection.ts';
import type { ConnectionError } from '../../client/src/errors.ts';
import type { Line, Sink } from '../../client/src/line.ts';
import { openStorage } from '../../client/src/storage.ts';
import { openSubscription, type SubscriptionRequest } from '../../client/src/subscription.ts';
import { until } from '../support/until.ts';

/** A log without I/O or clock, which a test lets grow, and lines over which it comes as far as the test lets it. */
function openWorld(request: Partial<SubscriptionRequest> = {}) {
  let end = 0;
  let member: Member | undefined;
  /** Operations that have been begun and not ended, on whichever line. */
  const operations: { sink: Sink; at: number; isLeft: boolean; line: Line }[] = [];
  let most = 0;
  const items = new Map<string, string>();
  const counters = { delivered: 0, replayed: 0, reconnects: 0, moves: 0, gaps: 0 };
  const connection: Connection = {
    add: given => {
      member = given;
    },
    remove() {},
    changed() {},
    close() {},
  };
  const storage = openStorage(
    {
      getItem: key => items.get(key),
      setItem: (key, value) => void items.set(key, value),
      removeItem: key => void items.delete(key),
    },
    { user: () => 'alice' },
  );
  const subscription = openSubscription<{ n: number }>(
    { connection, storage, counters, onGap: () => 'continue' },
    { query: 'subscription { n }', from: 'earliest', ...request },
  );

  function openLine(): Line {
    const line: Line = {
      closed: new Promise<ConnectionError>(() => {}),
      close() {},
      subscribe(_id, { extensions }, sink) {
        const operation = { sink, at: Number(extensions?.cursor ?? 0), isLeft: false, line };
        operations.push(operation);
        return () => {
          operation.isLeft = true;
        };
      },
    };
    return line;
  }

  const world = {
    subscription,
    items,
    current: openLine(),
    append: (count: number) => {
      end += count;
    },
    /** Operations that are left still get what was under way: a client must not take it. */
    deliver(count: number) {
      for (const operation of operations) {
        for (let sent = 0; sent < count && operation.at < end; sent++) {
          operation.at++;
          operation.sink.next({ data: { n: operation.at }, extensions: { cursor: String(operation.at) } });
        }
        if (operation.isLeft) operation.at = end;
      }
      most = Math.max(most, operations.filter(({ isLeft }) => !isLeft).length);
    },
    ping() {
      for (const { sink, at, isLeft } of operations) if (!isLeft) sink.ping(String(at), true);
    },
    lose: () => member?.detach(),
    connect() {
      member?.detach();
      world.current = openLine();
      member?.attach(world.current);
    },
    refuse(errors: Parameters<Sink['error']>[0]) {
      operations.findLast(({ isLeft }) => !isLeft)?.sink.error(errors);
    },
    most: () => most,
    end: () => end,
  };
  world.connect();
  return world;
}

const settle = () => new Promise<void>(resolve => setImmediate(resolve));

test('whatever is lost, moved or slow: every event once, in order, over one operation at a time', async () => {
  const step = fc.oneof(
    fc.record({ do: fc.constant('append' as const), count: fc.integer({ min: 1, max: 700 }) }),
    fc.record({ do: fc.constant('deliver' as const), count: fc.integer({ min: 1, max: 1_200 }) }),
    fc.record({ do: fc.constant('take' as const), count: fc.integer({ min: 1, max: 900 }) }),
    fc.record({ do: fc.constantFrom('ping' as const, 'lose' as const, 'connect' as const), count: fc.constant(1) }),
  );
  await fc.assert(
    fc.asyncProperty(fc.array(step, { maxLength: 40 }), async steps => {
      const world = openWorld();
      const got: number[] = [];
      let wanted = 0;
      const take = async () => {
        for (; wanted > 0 && got.length < world.end(); wanted--) {
          const next = world.subscription.next();
          const result = await Promise.race([next, settle()]);
          if (!result) {
            void next.then(late => late.value && got.push(late.value.data.n));
            return;
          }
          if (result.value) got.push(result.value.data.n);
        }
      };
      for (const { do: what, count } of steps) {
        if (what === 'append') world.append(count);
        else if (what === 'deliver') world.deliver(count);
        else if (what === 'take') {
          wanted = count;
          await take();
        } else world[what]();
      }
      world.connect();
      for (let round = 0; got.length < world.end() && round < 200; round++) {
        world.deliver(2_000);
        wanted = 2_000;
        await take();
        await settle();
      }
      assert.deepEqual(
        got,
        Array.from({ length: world.end() }, (_, index) => index + 1),
      );
      assert.ok(world.most() <= 1);
      await world.subscription.return();
    }),
    { numRuns: 150 },
  );
});

test('the position moves when the consumer asks for more, and with pings when nothing is left to deal with', async () => {
  const world = openWorld({ key: 'mine', cursor: '0' });
  const stored = (cursor: string) => until(`${cursor} is stored`, () => [...world.items.values()].join() === cursor);
  world.append(3);
  world.deliver(2);
  world.ping();
  const { subscription } = world;
  assert.equal((await subscription.next()).value?.cursor, '1');
  await settle();
  assert.deepEqual([subscription.cursor, [...world.items.values()]], [undefined, []]);
  assert.equal((await subscription.next()).value?.cursor, '2');
  assert.equal(subscription.cursor, '1');
  await stored('1');
  const third = subscription.next();
  assert.equal(subscription.cursor, '2');
  await stored('2');
  world.deliver(1);
  assert.equal((await third).value?.cursor, '3');
  await subscription.return();
  await settle();
  assert.deepEqual([...world.items.values()], ['2'], 'what it broke off at comes again');
});

test('a slow consumer has a bounded number of events waiting', async () => {
  const world = openWorld();
  world.append(5_000);
  world.deliver(5_000);
  assert.equal((await world.subscription.next()).value?.cursor, '1');
  world.deliver(5_000);
  const waiting: string[] = [];
  for (let next = 2; next <= 1_000; next++) waiting.push((await world.subscription.next()).value?.cursor ?? '');
  assert.equal(waiting.at(-1), '1000');
  const pending = world.subscription.next();
  assert.equal(await Promise.race([pending, settle()]), undefined, 'no more than 1,000 have been taken');
  world.deliver(1);
  assert.equal((await pending).value?.cursor, '1001');
  await world.subscription.return();
});

test('an expired position is asked about once, and the first event behind the gap says so', async () => {
  const world = openWorld();
  world.append(10);
  world.refuse([{ message: 'gone', extensions: { code: 'CURSOR_EXPIRED', earliest: '7' } }]);
  world.connect(); // while the application is being asked
  await settle();
  world.deliver(2);
  const [first, second] = [await world.subscription.next(), await world.subscription.next()];
  assert.deepEqual([first.value?.cursor, first.value?.gap], ['8', true]);
  assert.deepEqual([second.value?.cursor, second.value?.gap], ['9', undefined]);
  await world.subscription.return();
});
