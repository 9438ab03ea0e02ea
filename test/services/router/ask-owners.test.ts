import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Attempt, askOwners } from '../../../services/router/ask-owners.ts';
import { type OwnersByHand, ownersByHand } from '../../support/router.ts';
import { until } from '../../support/until.ts';

interface Case {
  owners?: OwnersByHand;
  waitMs?: number;
  clientGone?: AbortSignal;
  answer(address: string, attempt: number): Attempt;
}

async function ask({ owners = ownersByHand(), waitMs = 2_000, clientGone, answer }: Case) {
  const asked: string[] = [];
  const waits: number[] = [];
  const result = await askOwners(
    {
      partition: 3,
      owners,
      waitMs,
      clientGone: clientGone ?? new AbortController().signal,
      onWaited: seconds => waits.push(seconds),
    },
    owner => {
      asked.push(owner.address);
      return Promise.resolve(answer(owner.address, asked.length));
    },
  );
  return { result, asked, waits };
}

describe('asking the owners of a partition', () => {
  test('stops at the first that serves', async () => {
    const owners = ownersByHand();
    owners.give('a');
    const { result, asked, waits } = await ask({ owners, answer: () => ({ kind: 'served' }) });
    assert.deepEqual(result, { kind: 'served', attempts: 1, by: owners.owner(3) });
    assert.deepEqual([asked, waits], [['a'], []]);
  });

  test('goes on to the next owner after one that is not, or cannot be reached', async () => {
    for (const kind of ['not-owner', 'unreachable'] as const) {
      const owners = ownersByHand();
      owners.give('a');
      const { result, asked } = await ask({
        owners,
        answer(address) {
          if (address === 'b') return { kind: 'served' };
          owners.give('b');
          return { kind, reason: 'gone' };
        },
      });
      assert.deepEqual(result, { kind: 'served', attempts: 2, by: owners.owner(3) });
      assert.deepEqual(asked, ['a', 'b']);
    }
  });

  test('asks the same one again when nobody else turns up: it may have been about to become the owner', async () => {
    const owners = ownersByHand();
    owners.give('a');
    const { asked } = await ask({
      owners,
      answer: (_, attempt) => (attempt < 3 ? { kind: 'not-owner' } : { kind: 'served' }),
    });
    assert.deepEqual(asked, ['a', 'a', 'a']);
  });

  test('never goes on after a broken answer', async () => {
    const owners = ownersByHand();
    owners.give('a');
    const { result, asked } = await ask({ owners, answer: () => ({ kind: 'broken', reason: 'reset' }) });
    assert.deepEqual(result, { kind: 'broken', reason: 'reset' });
    assert.deepEqual(asked, ['a']);
  });

  test('waits for an owner where there is none, and says for how long', async () => {
    const owners = ownersByHand();
    const asking = ask({ owners, answer: () => ({ kind: 'served' }) });
    await until('somebody waits', () => owners.waiting() === 1);
    owners.give('a');
    const { result, waits } = await asking;
    assert.equal(result.kind, 'served');
    assert.ok(waits.length <= 1);
  });

  test('ends when the time is over, with the last reason', async () => {
    assert.deepEqual((await ask({ waitMs: 30, answer: () => ({ kind: 'served' }) })).result, {
      kind: 'no-owner',
      reason: 'partition 3 has no owner now',
    });
    const owners = ownersByHand();
    owners.give('a');
    const { result } = await ask({ owners, waitMs: 30, answer: () => ({ kind: 'unreachable', reason: 'refused' }) });
    assert.deepEqual(result, { kind: 'no-owner', reason: 'refused' });
  });

  test('does not spin when the table lets nobody wait', async () => {
    const full = { ...ownersByHand(), waitForOwner: () => Promise.resolve(undefined) };
    const owner = { address: 'a', epoch: 1, generation: 1, memberId: 'm' };
    const { result, asked } = await ask({
      owners: { ...full, owner: () => owner },
      answer: () => ({ kind: 'not-owner' }),
    });
    assert.equal(result.kind, 'no-owner');
    assert.deepEqual(asked, ['a']);
  });

  test('ends when the client has gone', async () => {
    const owners = ownersByHand();
    owners.give('a');
    const gone = new AbortController();
    const { result, asked } = await ask({
      owners,
      clientGone: gone.signal,
      answer() {
        gone.abort();
        return { kind: 'not-owner' };
      },
    });
    assert.deepEqual([result.kind, asked], ['client-gone', ['a']]);
  });
});
