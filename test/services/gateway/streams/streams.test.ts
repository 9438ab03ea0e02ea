import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import type { Client, ExecutionResult } from 'graphql-ws';
import { type GatewayLab, openGatewayLab, partitions, type TestGateway, userIn } from '../../../support/gateway.ts';
import { openRawSocket } from '../../../support/raw-socket.ts';
import { until } from '../../../support/until.ts';

let lab: GatewayLab;
let gateway: TestGateway;
const clients: Client[] = [];

before(async () => {
  lab = await openGatewayLab();
  gateway = await lab.gateway({
    env: { PENSTOCK_GATEWAY_SOCKET_BUFFER_BYTES: '65536', PENSTOCK_GATEWAY_SLOW_TIMEOUT_MS: '3000' },
  });
});

after(async () => {
  for (const client of clients) await client.dispose();
  await lab.close();
});

interface Subscription {
  events: ExecutionResult[];
  errors: readonly { message: string; extensions?: Record<string, unknown> }[];
  numbers(): unknown[];
  /** The cursor of the newest event or ping. */
  cursor(): string | undefined;
  /** It has ended, or its connection has. */
  over(): boolean;
  stop(): void;
}

async function subscribe(
  token: string,
  query: string,
  extensions: Record<string, unknown> = {},
  at: TestGateway = gateway,
): Promise<Subscription> {
  let newest: string | undefined;
  let over = false;
  const client = at.client(token, {
    on: {
      ping: (received, payload) => {
        for (const cursor of Object.values((received && payload?.cursors) || {})) newest = String(cursor);
      },
    },
  });
  clients.push(client);
  const subscription: Subscription = {
    events: [],
    errors: [],
    numbers: () =>
      subscription.events.map(({ data }) => Object.values(data ?? {})[0] as { n: number }).map(({ n }) => n),
    cursor: () => newest,
    over: () => over,
    stop: () => {},
  };
  subscription.stop = client.subscribe(
    { query, extensions },
    {
      next(result) {
        const event = result as ExecutionResult;
        subscription.events.push(event);
        newest = String(event.extensions?.cursor);
      },
      error(errors) {
        subscription.errors = errors as Subscription['errors'];
        over = true;
      },
      complete: () => {
        over = true;
      },
    },
  );
  await until('a cursor, or an error', () => newest ?? over);
  return subscription;
}

const notes = 'subscription { notes { n } }';

test('an OWN stream has the records of its key only, though others share the partition', async () => {
  const [alice, bob] = [userIn(0), userIn(0)];
  const stream = await subscribe(await lab.accessToken(alice), notes);
  for (const n of [1, 2, 3]) {
    await lab.note(bob, n);
    await lab.note(alice, n * 10);
  }
  await until('the last note', () => stream.numbers().includes(30));
  assert.deepEqual(stream.numbers(), [10, 20, 30]);
});

test('an ALL stream has every record, for who has the role', async () => {
  const stream = await subscribe(
    await lab.accessToken(userIn(1), { roles: ['auditor'] }),
    'subscription { allNotes { n id } }',
  );
  const users = Array.from({ length: partitions }, (_, partition) => userIn(partition));
  for (const n of [1001, 1002]) for (const user of users) await lab.note(user, n);
  await until('all notes', () => stream.events.length === 2 * partitions);
  const resumed = await subscribe(
    await lab.accessToken(userIn(1), { roles: ['auditor'] }),
    'subscription { allNotes { n } }',
    { cursor: stream.events[1]?.extensions?.cursor },
  );
  assert.equal(resumed.errors[0]?.extensions?.code, 'CURSOR_INVALID', 'a cursor is bound to its user');
});

test('a cursor goes on behind its record, on another connection and in another gateway process', async () => {
  const alice = userIn(2);
  const token = await lab.accessToken(alice);
  const first = await subscribe(token, notes);
  for (const n of [1, 2, 3]) await lab.note(alice, n);
  await until('three notes', () => first.events.length === 3);
  first.stop();
  await lab.note(alice, 4);
  const other = await lab.gateway({ waitUntilReady: true });
  for (const at of [gateway, other]) {
    const resumed = await subscribe(token, notes, { cursor: first.events[1]?.extensions?.cursor }, at);
    await until('the missed notes', () => resumed.numbers().includes(4));
    assert.deepEqual(resumed.numbers(), [3, 4]);
  }
  assert.equal(await other.stop(), 0);
});

test("a ping's cursor goes on where nothing has matched", async () => {
  const alice = userIn(3);
  const token = await lab.accessToken(alice);
  const query = 'subscription { notes(min: 5) { n } }';
  const first = await subscribe(token, query);
  const begin = first.cursor();
  await lab.note(alice, 1);
  await until('a later cursor', () => first.cursor() !== begin);
  first.stop();
  await lab.note(alice, 6);
  const resumed = await subscribe(token, query, { cursor: first.cursor() });
  await until('the note', () => resumed.numbers().includes(6));
  assert.deepEqual(resumed.numbers(), [6]);
});

test('a cursor serves the same field, arguments and user only, however they are written', async () => {
  const alice = userIn(0);
  const token = await lab.accessToken(alice);
  const first = await subscribe(token, 'subscription { notes(min: 1, kind: RED) { n } }');
  const cursor = first.cursor();
  const same = await subscribe(token, 'subscription { x: notes(kind: RED, min: 1) { id n } }', { cursor });
  assert.deepEqual(same.errors, []);
  const refused = [
    await subscribe(token, 'subscription { notes(min: 2, kind: RED) { n } }', { cursor }),
    await subscribe(token, notes, { cursor }),
    await subscribe(await lab.accessToken(userIn(0)), 'subscription { notes(min: 1, kind: RED) { n } }', { cursor }),
    await subscribe(token, notes, { cursor: `${cursor}x` }),
  ];
  for (const { errors } of refused) assert.equal(errors[0]?.extensions?.code, 'CURSOR_INVALID');
});

test('from earliest and from a time begin there', async () => {
  const alice = userIn(1);
  const token = await lab.accessToken(alice);
  await lab.note(alice, 1);
  const between = await until('the clock has moved on', () => {
    const nowMs = Date.now();
    return new Promise<number>(resolve => setTimeout(resolve, 5, nowMs + 3));
  });
  await until('it is later', () => Date.now() > between + 2);
  await lab.note(alice, 2);
  const earliest = await subscribe(token, notes, { from: 'earliest' });
  await until('both', () => earliest.events.length === 2);
  const since = await subscribe(token, notes, { from: new Date(between).toISOString() });
  await until('the later one', () => since.events.length === 1);
  assert.deepEqual([earliest.numbers(), since.numbers()], [[1, 2], [2]]);
});

test('tombstones and records that do not fit are skipped and counted, and the stream goes on', async () => {
  const alice = userIn(0);
  const stream = await subscribe(await lab.accessToken(alice), notes);
  const at = { topic: lab.topics.notes, partition: 0 };
  const values = [
    null,
    'no JSON',
    '[]',
    '{"id":"x"}',
    '{"id":"x","n":"1","kind":"RED"}',
    '{"id":"x","n":1,"kind":"GREEN"}',
  ];
  const counts = () =>
    Promise.all(
      ['tombstone', 'misfit'].map(async reason => {
        const line = `penstock_gateway_skipped_total{topic="${lab.topics.notes}",reason="${reason}"}`;
        return (await gateway.metric(line)) || 0;
      }),
    );
  const [tombstones = 0, misfits = 0] = await counts();
  for (const value of values) await lab.lanes.send(at, { key: alice, value });
  await lab.note(alice, 7);
  await until('the note behind them', () => stream.events.length > 0);
  assert.deepEqual(stream.numbers(), [7]);
  assert.deepEqual(await counts(), [tombstones + 1, misfits + 5]);
  assert.match(gateway.log(), /a stream skipped a record/);
  assert.doesNotMatch(gateway.log(), /GREEN/, 'a log line never holds a value');
});

test("a record in another partition than its key's is counted and logged", async () => {
  const alice = userIn(0);
  const line = `penstock_misplaced_records_total{topic="${lab.topics.notes}"}`;
  const before = (await gateway.metric(line)) || 0;
  await lab.lanes.send({ topic: lab.topics.notes, partition: 1 }, { key: alice, value: '{}' });
  await until('it is counted', async () => ((await gateway.metric(line)) || 0) === before + 1);
  assert.match(gateway.log(), /another partition than its key/);
});

test('a repeated sequence number is delivered once', async () => {
  const alice = userIn(2);
  const stream = await subscribe(await lab.accessToken(alice), notes);
  for (const [n, sequence] of [
    [1, 5],
    [1, 5],
    [2, 6],
    [1, 5],
    [3, 9],
  ] as const) {
    await lab.note(alice, n, {}, { ce_keysequence: String(sequence) });
  }
  await until('the last note', () => stream.numbers().includes(3));
  assert.deepEqual(stream.numbers(), [1, 2, 3]);
});

test('a client that does not read is closed with 1013, and others are not held up; it resumes without a gap', async () => {
  const alice = userIn(0);
  const token = await lab.accessToken(alice);
  const query = 'subscription { notes { n text } }';
  const slow = await openRawSocket(gateway.wsUrl);
  await slow.greet(token);
  slow.send({ id: 's', type: 'subscribe', payload: { query } });
  const first = await until('the first cursor', () =>
    slow.received.find(({ type, payload }) => type === 'ping' && payload.cursors.s),
  );
  const quick = await subscribe(token, notes);
  const slowClosed = async () => (await gateway.metric('penstock_gateway_slow_closed_total')) || 0;
  const closedBefore = await slowClosed();
  slow.socket.pause();
  const text = 'x'.repeat(50_000);
  let total = 0;
  // However much the kernel takes for it. The quick one sets the pace: what it has, the gateway has in hand.
  await until(
    'the slow one is closed',
    async () => {
      const batch = Array.from({ length: 25 }, () => lab.note(alice, ++total, { text }));
      await Promise.all(batch);
      await until('the quick one has all', () => quick.events.length === total, 60_000);
      return (await slowClosed()) > closedBefore;
    },
    120_000,
  );
  slow.socket.resume();
  const { code, reason } = await slow.closed();
  assert.deepEqual([code, reason], [1013, 'too slow: resume by cursor']);
  const got = slow.received.filter(({ type }) => type === 'next').map(({ payload }) => payload);
  assert.ok(got.length < total, `${got.length} of ${total}`);

  const rest = await follow(token, query, got.at(-1)?.extensions.cursor ?? first.payload.cursors.s, total - got.length);
  const all = Array.from({ length: total }, (_, index) => index + 1);
  assert.deepEqual(quick.numbers(), all);
  assert.deepEqual([...got.map(({ data }) => data.notes.n), ...rest], all);
});

/** The numbers of so many events behind the cursor, and of what comes with them, by a client that resumes when it is closed. */
async function follow(token: string, query: string, cursor: unknown, count: number): Promise<unknown[]> {
  const numbers: unknown[] = [];
  let from = cursor;
  while (numbers.length < count) {
    const part = await subscribe(token, query, { cursor: from });
    await until('the rest, or a close', () => part.over() || numbers.length + part.events.length >= count, 60_000);
    part.stop();
    assert.ok(!Array.isArray(part.errors) || part.errors.length === 0, JSON.stringify(part.errors));
    numbers.push(...part.numbers());
    from = part.events.at(-1)?.extensions?.cursor ?? from;
  }
  return numbers;
}

// The last: streams that are open meanwhile, or begin before the gateway has noticed, end with CURSOR_EXPIRED.
test('a cursor past the end of the log is CURSOR_EXPIRED, with one to go on from', async () => {
  const alice = userIn(3);
  const token = await lab.accessToken(alice);
  const stream = await subscribe(token, notes);
  await lab.note(alice, 1);
  await until('the note', () => stream.events.length === 1);
  const cursor = stream.cursor();
  stream.stop();
  await lab.kafka.remove(lab.topics.notes);
  await lab.kafka.topics.ensure([{ name: lab.topics.notes, partitions, replicationFactor: 1 }]);
  await until('the new topic can be written', () =>
    lab.note(alice, 2).then(
      () => true,
      () => false,
    ),
  );
  const expired = await until('an answer about the cursor', async () => {
    const again = await subscribe(token, notes, { cursor });
    const { code, earliest } = again.errors[0]?.extensions ?? {};
    return code === 'CURSOR_EXPIRED' && earliest;
  });
  const resumed = await subscribe(token, notes, { cursor: expired });
  await until('the first note of the new topic', () => resumed.numbers().includes(2));
  assert.deepEqual(resumed.numbers(), [2]);
});
