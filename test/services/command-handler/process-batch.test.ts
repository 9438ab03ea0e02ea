import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, beforeEach, test } from 'node:test';
import pg from 'pg';
import pino from 'pino';
import { type AppPlan, type CommandApp, loadApp } from '../../../lib/app/index.ts';
import type { Batch } from '../../../services/command-handler/batch.ts';
import { claim } from '../../../services/command-handler/claims.ts';
import { AppFaultError, FencedError, failureKindOf } from '../../../services/command-handler/failures.ts';
import { type Outbox, openOutbox } from '../../../services/command-handler/outbox.ts';
import { remaining, remove } from '../../../services/command-handler/outbox-rows.ts';
import { migrate, openPool } from '../../../services/command-handler/postgres.ts';
import { type Committed, type Processing, processBatch } from '../../../services/command-handler/process-batch.ts';
import { publicationOf } from '../../../services/command-handler/publication.ts';
import type { CommandIntake } from '../../../services/command-handler/types.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

let plan: AppPlan;
let postgres: ScratchPostgres;
let pool: pg.Pool;

/** Writes down who said what, and tells whoever the command names. */
const notes: CommandApp<undefined, { id: string; text: string }> = {
  migrations: [
    'CREATE SCHEMA IF NOT EXISTS notes',
    'CREATE TABLE IF NOT EXISTS notes.notes (id text PRIMARY KEY, text text NOT NULL)',
  ],
  load: () => Promise.resolve(undefined),
  decide(_, { id, userKey, arguments: { tell, text } }) {
    const events = ((tell ?? []) as string[]).map(key => ({ topic: 'balance_changed', key, value: { by: userKey } }));
    return {
      feedback: { commandId: id, ok: true },
      verdict: 'accepted',
      changes: [{ id, text: String(text) }],
      events,
    };
  },
  async save(queries, changes) {
    await queries.query('INSERT INTO notes.notes SELECT * FROM unnest($1::text[], $2::text[])', [
      changes.map(({ id }) => id),
      changes.map(({ text }) => text),
    ]);
  },
  reject: (commandId, reason) => ({ commandId, ok: false, reason }),
};

before(async () => {
  plan = await loadApp('apps/bank');
  postgres = await scratchPostgres();
  // A database may have another default than READ COMMITTED: ours name theirs.
  await postgres.defaultIsolation('repeatable read');
  pool = openPool({ address: { url: postgres.url }, size: 6, transactionTimeoutMs: 3_000 }, pino({ level: 'silent' }));
  await Promise.all([migrate(pool, notes.migrations), migrate(pool, notes.migrations)]);
});
after(async () => {
  await pool.end();
  await postgres.drop();
});
beforeEach(() =>
  pool.query(
    'TRUNCATE notes.notes, penstock.command_positions, penstock.key_sequences, penstock.verdicts, penstock.outbox',
  ),
);

/** Keys name their partition: `1-alice`. */
const partitionOf = (key: string): number => Number(key.split('-')[0]);

class Handler {
  readonly outbox: Outbox = openOutbox();
  readonly claims = new Map<number, { epoch: number; position: number }>();
  readonly processing: Processing<undefined, { id: string; text: string }>;
  faults = 0;

  constructor(app: Partial<typeof notes> = {}) {
    this.processing = {
      ...{ pool, app: { ...notes, ...app }, plan, outbox: this.outbox, partitionOf },
      ...{ now: () => 5, uuid: randomUUID, maxValueBytes: 10_000, onFault: () => void this.faults++ },
    };
  }

  async gain(...partitions: number[]): Promise<void> {
    const wanted = partitions.map(partition => ({ topic: 'commands', partition }));
    const { claimed } = await claim(pool, wanted, 1, () => ({ start: 0, topicId: 'one' }), false);
    for (const { partition, epoch, position } of claimed) {
      this.claims.set(partition, { epoch, position });
      this.outbox.gain(partition);
    }
  }

  /** Commands by the partition that they lie in: their key's, or `in`. */
  batch(...commands: Said[]): Batch {
    const partitions = new Map<number, CommandIntake[]>();
    for (const { key, id = randomUUID(), tell = [], text = '', within = partitionOf(key) } of commands) {
      const intakes = partitions.get(within) ?? [];
      partitions.set(within, intakes);
      const offset = (this.claims.get(within)?.position ?? 0) + intakes.length;
      intakes.push({
        kind: 'command',
        at: { topic: 'commands', partition: within, offset },
        ...{ timestampMs: 1, sizeBytes: 1, feedbackTopic: 'verdicts', traceparent: undefined, refusal: undefined },
        command: { id, type: 'say', userKey: key, arguments: { tell, text }, timeMs: 1 },
      });
    }
    return [...partitions].map(([partition, intakes]) => {
      const { epoch, position } = this.claims.get(partition) ?? { epoch: 0, position: 0 };
      return {
        topic: 'commands',
        partition,
        epoch,
        fromOffset: position,
        toOffset: position + intakes.length,
        intakes,
      };
    });
  }

  async process(...commands: Said[]): Promise<Committed> {
    const batch = this.batch(...commands);
    const committed = await processBatch(this.processing, batch);
    for (const { partition, toOffset } of batch) {
      const held = this.claims.get(partition);
      if (held !== undefined) held.position = toOffset;
    }
    return committed;
  }
}

interface Said {
  key: string;
  id?: string;
  tell?: string[];
  text?: string;
  within?: number;
}

async function owner(...partitions: number[]): Promise<Handler> {
  const handler = new Handler();
  await handler.gain(...partitions);
  return handler;
}

async function waitForLocks(count: number): Promise<void> {
  const text = `SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await until(`${count} statements wait for a lock`, async () => (await postgres.query(text)).length >= count);
}

const texts = async (): Promise<string[]> =>
  (await postgres.query<{ text: string }>('SELECT text FROM notes.notes ORDER BY text')).map(({ text }) => text);
const said = ({ key, sequence, topic }: { key: string; sequence: number; topic: string }) =>
  `${key}:${sequence}:${topic}`;

test('a batch leaves effect, verdict, outbox and position together', async () => {
  const handler = await owner(0, 1);
  const id = randomUUID();
  const { own, rest } = await handler.process(
    { key: '0-a', id, tell: ['1-b'], text: 'hi' },
    { key: '1-b', text: 'ho' },
  );
  assert.deepEqual(own.map(said), ['1-b:1:balance_changed', '0-a:1:verdicts', '1-b:2:verdicts']);
  assert.deepEqual(rest, []);
  assert.deepEqual(await texts(), ['hi', 'ho']);
  const [verdict] = await postgres.query<{ sequence: string; value: string }>(
    'SELECT sequence, value FROM penstock.verdicts WHERE command_id = $1',
    [id],
  );
  assert.deepEqual([verdict?.sequence, JSON.parse(verdict?.value ?? '')], ['1', { commandId: id, ok: true }]);
  assert.equal((await postgres.query('SELECT FROM penstock.outbox')).length, 3);
  const positions = await postgres.query(
    'SELECT partition, position::int FROM penstock.command_positions ORDER BY partition',
  );
  assert.deepEqual(positions, [
    { partition: 0, position: 1 },
    { partition: 1, position: 1 },
  ]);
});

test('an app that fails to save leaves nothing behind', async () => {
  const handler = new Handler({ save: () => Promise.reject(new TypeError('bug')) });
  await handler.gain(0);
  const failure = await handler.process({ key: '0-a' }).catch((error: unknown) => error);
  assert.ok(failure instanceof AppFaultError);
  assert.equal(failureKindOf(failure), 'data');
  for (const table of ['verdicts', 'outbox', 'key_sequences'])
    assert.equal((await postgres.query(`SELECT FROM penstock.${table}`)).length, 0);
  const positions = await postgres.query('SELECT position::int FROM penstock.command_positions');
  assert.deepEqual(positions, [{ position: 0 }]);
});

test('a zombie whose partition was claimed changes nothing, in none of its partitions', async () => {
  const zombie = await owner(0, 1);
  const heir = await owner(1);
  const failure = await zombie
    .process({ key: '0-a', text: 'x' }, { key: '1-b', text: 'y' })
    .catch((error: unknown) => error);
  assert.ok(failure instanceof FencedError);
  assert.deepEqual(
    failure.lost.map(({ partition }) => partition),
    [1],
  );
  assert.deepEqual(await texts(), []);
  await heir.process({ key: '1-b', text: 'z' });
  assert.deepEqual(await texts(), ['z']);
});

test('a batch that is read twice takes effect once', async () => {
  const handler = await owner(0);
  const batch = handler.batch({ key: '0-a', text: 'once' });
  await processBatch(handler.processing, batch);
  await assert.rejects(processBatch(handler.processing, batch), FencedError);
  assert.deepEqual(await texts(), ['once']);
});

test('a claim waits for no transaction under way; it says that the partition is busy', async () => {
  let release = (): void => undefined;
  const saving = new Promise<void>(resolve => {
    release = resolve;
  });
  let reached = (): void => undefined;
  const inside = new Promise<void>(resolve => {
    reached = resolve;
  });
  const slow = new Handler({
    save: () => {
      reached();
      return saving;
    },
  });
  await slow.gain(0, 1);
  const processing = slow.process({ key: '0-a' });
  await inside;
  const wanted = [0, 1].map(partition => ({ topic: 'commands', partition }));
  const result = await claim(pool, wanted, 2, () => ({ start: 0, topicId: 'one' }), false);
  assert.deepEqual(
    [result.claimed.map(({ partition }) => partition), result.busy.map(({ partition }) => partition)],
    [[1], [0]],
  );
  release();
  await processing;
  assert.equal(
    (await claim(pool, [{ topic: 'commands', partition: 0 }], 2, () => ({ start: 0, topicId: 'one' }), false))
      .claimed[0]?.position,
    1,
  );
});

test('a claim by an older generation is stale, and succeeds only by force', async () => {
  const at = [{ topic: 'commands', partition: 4 }];
  assert.equal((await claim(pool, at, 57, () => ({ start: 12, topicId: 'one' }), false)).claimed[0]?.position, 12);
  const old = await claim(pool, at, 1, () => ({ start: 0, topicId: 'one' }), false);
  assert.deepEqual([old.claimed.length, old.stale.length], [0, 1]);
  const forced = await claim(pool, at, 1, () => ({ start: 0, topicId: 'one' }), true);
  assert.deepEqual([forced.claimed[0]?.epoch, forced.claimed[0]?.position], [2, 12]);
});

test('a position in a topic that was created again is forgotten, with whoever reads the old one', async () => {
  const at = [{ topic: 'again', partition: 3 }];
  const one = () => ({ start: 12, topicId: 'one' });
  const two = () => ({ start: 4, topicId: 'two' });
  const [first] = (await claim(pool, at, 1, one, false)).claimed;
  assert.deepEqual([first?.position, first?.anew], [12, false]);
  await postgres.query("UPDATE penstock.command_positions SET position = 20 WHERE topic = 'again'");
  const [same] = (await claim(pool, at, 1, one, false)).claimed;
  assert.deepEqual([same?.position, same?.anew, same?.topicId], [20, false, 'one']);
  const [anew] = (await claim(pool, at, 1, two, false)).claimed;
  assert.deepEqual([anew?.position, anew?.anew, anew?.topicId], [4, true, 'two']);
  assert.ok((anew?.epoch ?? 0) > (same?.epoch ?? 0));
  await postgres.query("UPDATE penstock.command_positions SET topic_id = NULL WHERE topic = 'again'");
  const [unknown] = (await claim(pool, at, 1, one, false)).claimed;
  assert.deepEqual([unknown?.position, unknown?.anew, unknown?.topicId], [4, false, 'one']);
});

test("rows that another handler wrote for an owner's key come back with the owner's next transaction, and go first", async () => {
  const [mine, theirs] = [await owner(0), await owner(1)];
  const { own } = await theirs.process({ key: '1-b', tell: ['0-a', '0-a'] });
  assert.deepEqual(publicationOf(theirs.outbox, await theirs.process()).rows, []);
  assert.deepEqual(own.map(said), ['0-a:1:balance_changed', '0-a:2:balance_changed', '1-b:1:verdicts']);
  const written = await mine.process({ key: '0-a' });
  assert.deepEqual(written.rest.map(said), ['0-a:1:balance_changed', '0-a:2:balance_changed']);
  assert.deepEqual(publicationOf(mine.outbox, written).rows.map(said), [
    '0-a:1:balance_changed',
    '0-a:2:balance_changed',
    '0-a:3:verdicts',
  ]);
  assert.deepEqual((await mine.process({ key: '0-a' })).rest, [], 'what memory knows does not come again');
});

test('a partition without room is left to a select with its backlog, also when it has room again, and the others are vouched for', async () => {
  const mine = await owner(0, 1);
  await owner(2).then(theirs => theirs.process({ key: '2-x', tell: Array.from({ length: 600 }, () => '0-a') }));
  let roomy = false;
  const hasRoom = (partition: number): boolean => roomy || partition !== 0;
  Object.assign(mine.processing, { hasRoom });
  const written = await mine.process({ key: '0-a' }, { key: '1-b' });
  assert.deepEqual([written.rest.length, written.restComplete], [0, true]);
  roomy = true;
  const { rows, behind, foreign } = publicationOf(mine.outbox, written, hasRoom);
  assert.deepEqual(rows.map(said), ['1-b:1:verdicts']);
  assert.deepEqual([[...behind], [...foreign]], [[0], []]);
});

test('rows written while a transaction waits for the key are seen by it', async () => {
  const [mine, theirs] = [await owner(0), await owner(1)];
  const blocker = new pg.Client({ connectionString: postgres.url });
  await blocker.connect();
  publicationOf(mine.outbox, await mine.process({ key: '0-a' }));
  await blocker.query('BEGIN');
  await blocker.query(`SELECT FROM penstock.key_sequences WHERE user_key = '0-a' FOR UPDATE`);
  const first = theirs.process({ key: '1-b', tell: ['0-a'] });
  await waitForLocks(1);
  const second = mine.process({ key: '0-a' });
  await waitForLocks(2);
  await blocker.query('COMMIT');
  await first;
  assert.deepEqual((await second).rest.map(said), ['0-a:2:balance_changed']);
  await blocker.end();
});

test('a stored verdict is repeated under its old sequence number, behind whatever of its key is still there', async () => {
  const first = await owner(0);
  const id = randomUUID();
  await first.process({ key: '0-a', tell: ['0-a'] }, { key: '0-a', id });
  const heir = await owner(0);
  const repeated = await heir.process({ key: '0-a', id, text: 'other' });
  assert.deepEqual(repeated.outcomes, [{ type: 'say', verdict: 'repeated' }]);
  const { rows } = publicationOf(heir.outbox, repeated);
  assert.deepEqual(rows.map(said), ['0-a:1:balance_changed', '0-a:2:verdicts', '0-a:3:verdicts']);
  assert.deepEqual(
    rows.map(({ repetition }) => repetition > 0),
    [false, false, true],
  );
  assert.equal(rows[2]?.commandId, id);
  assert.equal((await texts()).includes('other'), false);
});

test('deleting a row does not delete its repetition', async () => {
  const handler = await owner(0);
  const id = randomUUID();
  const [row] = (await handler.process({ key: '0-a', id })).own;
  const [again] = (await handler.process({ key: '0-a', id })).own;
  assert.ok(row !== undefined && again !== undefined);
  await processBatch(handler.processing, handler.batch({ key: '0-b' }), [row]);
  const left = await remaining(pool, [0], 'all', { rows: 10, bytes: 10_000 });
  assert.deepEqual(
    left.rows.filter(({ key }) => key === '0-a').map(({ repetition }) => repetition),
    [again.repetition],
  );
});

test('a delete that waits for a repetition under way leaves it alone', async () => {
  const handler = await owner(0);
  const [row] = (await handler.process({ key: '0-a' })).own;
  assert.ok(row !== undefined);
  const repeating = new pg.Client({ connectionString: postgres.url });
  await repeating.connect();
  await repeating.query('BEGIN');
  await repeating.query(`UPDATE penstock.outbox SET repetition = nextval('penstock.repetition')`);
  const removing = remove(pool, [row]);
  await waitForLocks(1);
  await repeating.query('COMMIT');
  await removing;
  assert.equal((await remaining(pool, [0], 'all', { rows: 10, bytes: 10_000 })).rows.length, 1);
  await repeating.end();
});

test('a select of what is left gives the beginning of each key, never the end alone', async () => {
  const handler = await owner(0);
  await handler.process(...Array.from({ length: 6 }, (_, i) => ({ key: `0-${i % 2}` })));
  for (const limit of [
    { rows: 4, bytes: 1e6 },
    { rows: 100, bytes: 150 },
  ]) {
    const piece = await remaining(pool, [0], 'all', limit);
    assert.equal(piece.cut.size === 0, false);
    for (const key of ['0-0', '0-1']) {
      const sequences = piece.rows.filter(row => row.key === key).map(({ sequence }) => sequence);
      assert.deepEqual(
        sequences,
        sequences.map((_, i) => i + 1),
      );
    }
  }
  assert.equal((await remaining(pool, [0], 'all', { rows: 100, bytes: 1e6 })).cut.size, 0);
  assert.deepEqual((await remaining(pool, [0], 'announced', { rows: 100, bytes: 1e6 })).rows, []);
});

test('the same command in two partitions at once, as a foreign partitioner may put it, takes effect once', async () => {
  const [mine, theirs] = [await owner(0), await owner(1)];
  for (let round = 0; round < 10; round++) {
    const id = randomUUID();
    const attempt = async (handler: Handler, within: number): Promise<string> => {
      for (;;) {
        try {
          return (await handler.process({ key: '0-a', id, text: id, within })).outcomes[0]?.verdict ?? '';
        } catch (error) {
          if (!['again', 'conflict'].includes(failureKindOf(error))) throw error;
        }
      }
    };
    const verdicts = await Promise.all([attempt(mine, 0), attempt(theirs, 1)]);
    assert.deepEqual(verdicts.sort(), ['accepted', 'repeated']);
  }
  assert.equal((await texts()).length, 10);
});

test('handlers that write for the same keys in every order leave sequences without a gap', async () => {
  const handlers = [await owner(0), await owner(1), await owner(2)];
  const keys = ['0-a', '1-b', '2-c', '0-d', '1-e'];
  const rows: string[] = [];
  await Promise.all(
    handlers.map(async (handler, partition) => {
      for (let round = 0; round < 15; round++) {
        const tell = [...keys].sort(() => Math.random() - 0.5);
        const commands = [
          { key: `${partition}-x`, tell },
          { key: `${partition}-y`, tell: tell.toReversed() },
        ];
        for (;;) {
          try {
            rows.push(...(await handler.process(...commands)).own.map(({ key, sequence }) => `${key} ${sequence}`));
            break;
          } catch (error) {
            if (!['again', 'conflict'].includes(failureKindOf(error))) throw error;
          }
        }
      }
    }),
  );
  assert.equal(new Set(rows).size, rows.length);
  for (const key of keys) {
    const [last] = await postgres.query<{ sequence: string }>(
      'SELECT sequence FROM penstock.key_sequences WHERE user_key = $1',
      [key],
    );
    assert.equal(last?.sequence, '90');
  }
});

test('a connection that dies in the middle leaves nothing, and is judged lost', async () => {
  const handler = new Handler({
    save: async queries => {
      await queries.query('SELECT pg_terminate_backend(pg_backend_pid())');
    },
  });
  await handler.gain(0);
  const failure = await handler.process({ key: '0-a' }).catch((error: unknown) => error);
  assert.equal(failureKindOf(failure), 'lost');
  assert.equal((await postgres.query('SELECT FROM penstock.verdicts')).length, 0);
  const heir = await owner(0);
  await heir.process({ key: '0-a' });
});

test('a stopped process does not hold its locks for ever: PostgreSQL ends its transaction', async () => {
  const client = await pool.connect();
  await client.query(`SET idle_in_transaction_session_timeout = '50ms'`);
  await client.query('BEGIN');
  const ended = new Promise(resolve => client.once('error', resolve));
  assert.match(String(await ended), /idle-in-transaction/);
  client.release(true);
  const { rows } = await pool.query<{ setting: string }>(
    `SELECT current_setting('idle_in_transaction_session_timeout') AS setting`,
  );
  assert.deepEqual(rows, [{ setting: '3s' }]);
});
