import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Connection, Member } from '../../client/src/connection.ts';
import type { ConnectionError } from '../../client/src/errors.ts';
import type { Line, Sink } from '../../client/src/line.ts';
import { openLive } from '../../client/src/live.ts';
import type { Requests } from '../../client/src/requests.ts';
import { openStorage } from '../../client/src/storage.ts';

setFlagsFromString('--expose-gc');
const collectGarbage: () => void = runInNewContext('gc');

/** A view that is empty at cursor 0, and a line on which a test makes the events behind it. */
function openWorld() {
  let member: Member | undefined;
  let sink: Sink | undefined;
  const line: Line = {
    closed: new Promise<ConnectionError>(() => {}),
    close() {},
    subscribe(_id, _payload, given) {
      sink = given;
      return () => {};
    },
  };
  const connection: Connection = {
    add(given) {
      member = given;
      member.attach(line);
    },
    remove() {},
    changed() {},
    close() {},
  };
  const requests: Requests = {
    send: async () => ({ data: {} as never, cursor: '0' }),
    again: attempt => attempt(),
    close() {},
  };
  const storage = openStorage({ getItem: () => null, setItem() {}, removeItem() {} }, { user: () => 'alice' });
  const counters = { delivered: 0, replayed: 0, reconnects: 0, moves: 0, gaps: 0 };
  const live = openLive<object, { n: number }>(
    { connection, requests, storage, counters, onGap: () => 'continue' },
    { query: '{ n }', subscription: 'subscription { n }' },
  );
  return {
    live,
    deliver: (data: { n: number }) => sink?.next({ data, extensions: { cursor: String(data.n) } }),
  };
}

/** Returns how many are still referred to, once garbage has been collected. */
async function kept(refs: readonly WeakRef<object>[]): Promise<number> {
  // What a WeakRef has shown stays until its task is over.
  for (let collection = 0; collection < 3; collection++) {
    await setImmediate();
    collectGarbage();
  }
  return refs.filter(ref => ref.deref() !== undefined).length;
}

test('live() lets go of the events that its consumer has taken, however many those are', async () => {
  const { live, deliver } = openWorld();
  await live.next();
  const refs: WeakRef<object>[] = [];
  for (let n = 1; n <= 100; n++) {
    const asked = live.next();
    await setImmediate();
    const data = { n };
    refs.push(new WeakRef(data));
    deliver(data);
    await asked;
  }
  // The one that the consumer deals with is known until he asks for the next.
  assert.ok((await kept(refs)) <= 1);
  await live.return?.();
});

test('whoever waits for the next item of live() hears that it is over, each of them', async () => {
  const { live } = openWorld();
  await live.next();
  const asked = [live.next(), live.next()];
  await live.return?.();
  const over = { done: true, value: undefined };
  assert.deepEqual(await Promise.all([...asked, live.next()]), [over, over, over]);
});
