import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { PenstockError } from '../../../lib/errors.ts';
import { openAdmission } from '../../../services/router/admission.ts';

/** Work that ends when the test says so. */
function held() {
  const { promise, resolve } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve };
}

const isBusy = (error: unknown) => error instanceof PenstockError && error.code === 'UNAVAILABLE';
const isFull = (error: unknown) =>
  error instanceof PenstockError && error.extensions.limit === 'PENSTOCK_ROUTE_MAX_WAITING';

describe('upgrades at one gateway', () => {
  test('are under way up to a number, wait up to a number, and are refused beyond', async () => {
    const admission = openAdmission({ maxPending: 2, maxWaiting: 2, maxWaitMs: 5_000 });
    const first = held();
    let begun = 0;
    const work = () => {
      begun++;
      return first.work();
    };
    const four = [1, 2, 3, 4].map(() => admission.run('a', work));
    const fifth = assert.rejects(admission.run('a', work), isFull);
    await nextTurn();
    assert.equal(begun, 2);
    assert.equal(admission.waiting(), 2);
    first.end();
    await Promise.all(four);
    await fifth;
    assert.equal(begun, 4);
    assert.equal(admission.waiting(), 0);
  });

  test('of one that does not answer hold up nobody at another', async () => {
    const admission = openAdmission({ maxPending: 1, maxWaiting: 1, maxWaitMs: 60_000 });
    const deaf = held();
    const waiting = [admission.run('deaf', deaf.work), admission.run('deaf', deaf.work)];
    assert.equal(await admission.run('well', async () => 'served'), 'served');
    deaf.end();
    await Promise.all(waiting);
  });

  test('do not wait longer than the limit', async () => {
    const admission = openAdmission({ maxPending: 1, maxWaiting: 10, maxWaitMs: 20 });
    const deaf = held();
    const first = admission.run('a', deaf.work);
    await assert.rejects(
      admission.run('a', () => assert.fail('it was not its turn')),
      isBusy,
    );
    deaf.end();
    await first;
  });
});

test('who asks for the way is sent off from half of the line on, spread over some seconds', async () => {
  const draws = [0, 0.5, 0.999];
  const admission = openAdmission({ maxPending: 1, maxWaiting: 4, maxWaitMs: 60_000 }, () => draws.shift() ?? 0);
  const deaf = held();
  const line = [1, 2].map(() => admission.run('a', deaf.work));
  admission.checkRoom('a');
  line.push(admission.run('a', deaf.work));
  const seconds = [1, 2, 3].map(() => {
    try {
      admission.checkRoom('a');
      return 0;
    } catch (error) {
      return error instanceof PenstockError ? error.extensions.retryAfterSeconds : undefined;
    }
  });
  assert.deepEqual(seconds, [1, 3, 5]);
  admission.checkRoom('b');
  admission.checkRoom(undefined);
  deaf.end();
  await Promise.all(line);
  admission.checkRoom('a');
});
