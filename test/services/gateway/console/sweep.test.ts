import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Known } from '../../../../services/gateway/console/sweep.ts';

const state = (instance: string, more: object = {}) =>
  Buffer.from(JSON.stringify({ instance, service: 'gateway', status: 'READY', intervalMs: 1_000, ...more }));

test('a process is silent when it has said nothing for long, by the clock of the records', () => {
  const known = new Known();
  known.take({ value: state('a'), timestampMs: 0 }, 'gateway/a');
  known.take({ value: state('b'), timestampMs: 14_000 }, 'gateway/b');
  assert.deepEqual(known.silent(), []);
  known.take({ value: state('b'), timestampMs: 15_001 }, 'gateway/b');
  assert.deepEqual(
    known.silent().map(([key]) => key),
    ['gateway/a'],
  );
  known.take({ value: state('a'), timestampMs: 16_000 }, 'gateway/a');
  assert.deepEqual(known.silent(), []);
});

test('a process that publishes seldom may be silent for longer', () => {
  const known = new Known();
  known.take({ value: state('a', { intervalMs: 60_000 }), timestampMs: 0 }, 'gateway/a');
  known.take({ value: state('b'), timestampMs: 599_000 }, 'gateway/b');
  assert.deepEqual(known.silent(), []);
  known.take({ value: state('b'), timestampMs: 601_000 }, 'gateway/b');
  assert.equal(known.silent().length, 1);
});

test('what has gone, has a tombstone, or is no state is not looked after', () => {
  const known = new Known();
  const values = {
    gone: state('gone', { status: 'GONE' }),
    tombstone: null,
    noise: Buffer.from('noise'),
    list: Buffer.from('[]'),
  };
  for (const [key, value] of Object.entries(values)) {
    known.take({ value: state(key), timestampMs: 0 }, key);
    known.take({ value, timestampMs: 0 }, key);
  }
  known.take({ value: state('b'), timestampMs: 100_000 }, 'b');
  assert.deepEqual(known.silent(), []);
});
