import assert from 'node:assert/strict';
import { test } from 'node:test';
import { askedStart } from '../../../../services/gateway/streams/start.ts';

test('Last-Event-ID goes before the cursor, the cursor before from, and now is the default', () => {
  const cursor = { kind: 'cursor', cursor: 'c' };
  const lastEvent = { kind: 'cursor', cursor: 'l' };
  const table = [
    [{}, { kind: 'now' }],
    [{ extensions: null }, { kind: 'now' }],
    [{ extensions: {} }, { kind: 'now' }],
    [{ extensions: { cursor: null, from: null } }, { kind: 'now' }],
    [{ lastEventId: '' }, { kind: 'now' }],
    [{ extensions: { from: 'now' } }, { kind: 'now' }],
    [{ extensions: { from: 'earliest' } }, { kind: 'earliest' }],
    [{ extensions: { cursor: 'c' } }, cursor],
    [{ extensions: { cursor: 'c', from: 'earliest' } }, cursor],
    [{ extensions: { cursor: 'c', from: 'nonsense' } }, cursor],
    [{ lastEventId: 'l', extensions: { cursor: 'c', from: 'now' } }, lastEvent],
    [{ lastEventId: 'l', extensions: { from: 'earliest' } }, lastEvent],
    [{ lastEventId: '', extensions: { cursor: 'c' } }, cursor],
  ] as const;
  for (const [asked, expected] of table) assert.deepEqual(askedStart(asked), expected, JSON.stringify(asked));
});

test('from may be an ISO time with an offset', () => {
  const table = [
    ['2026-01-02T03:04:05Z', Date.UTC(2026, 0, 2, 3, 4, 5)],
    ['2026-01-02T03:04:05.678Z', Date.UTC(2026, 0, 2, 3, 4, 5, 678)],
    ['2026-01-02T03:04:05.678901+01:00', Date.UTC(2026, 0, 2, 2, 4, 5, 678)],
    ['2026-01-02T03:04-02:30', Date.UTC(2026, 0, 2, 5, 34)],
  ] as const;
  for (const [from, timestampMs] of table) {
    assert.deepEqual(askedStart({ extensions: { from } }), { kind: 'time', timestampMs }, from);
  }
});

test('anything else is bad input', () => {
  const refused = [
    '',
    'Now',
    'yesterday',
    '2026-01-02',
    '2026-01-02T03:04:05',
    '2026-13-02T03:04:05Z',
    0,
    17,
    {},
    true,
  ];
  for (const from of refused) {
    assert.throws(() => askedStart({ extensions: { from } }), { code: 'BAD_USER_INPUT' }, JSON.stringify(from));
  }
  for (const extensions of ['x', [], 7]) assert.throws(() => askedStart({ extensions }), { code: 'BAD_USER_INPUT' });
});

test('a cursor that is no string is no cursor', () => {
  for (const cursor of [7, {}, ['c'], true]) {
    assert.throws(() => askedStart({ extensions: { cursor } }), { code: 'CURSOR_INVALID' });
  }
});
