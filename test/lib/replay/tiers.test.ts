/**
 * One contract for every tier, and for all of them together: asked for a key's records behind a cursor, a tier says
 * exactly those, up to where it claims to know; or that it does not know.
 */
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { openReplayBuffer } from '../../../lib/replay/buffer/buffer.ts';
import { openBufferStore } from '../../../lib/replay/buffer/store.ts';
import { openHistories } from '../../../lib/replay/history.ts';
import { type LogRecord, logRecord, pointOf } from '../../../lib/replay/log-record.ts';
import { replayMetrics } from '../../../lib/replay/metrics.ts';
import { openRings } from '../../../lib/replay/ring.ts';
import { openScans } from '../../../lib/replay/scan.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { until } from '../../support/until.ts';
import {
  type BufferedStreams,
  countOf,
  openBufferedStreams,
  resumedFrom,
  type TierName,
} from './buffer/buffered-streams.ts';
import { forget, offsetsOf, position, request, take } from './streams-on-kafka.ts';

/** What a tier says: every record of the key in (after, through]. */
interface Answer {
  offsets: readonly number[];
  through: number;
}

interface Tier {
  /** Undefined: it does not know. */
  answer(key: string, after: number): Promise<Answer | undefined>;
}

/** A log, and how much of it a tier is given at once and may keep. */
interface Case {
  keys: readonly (string | null)[];
  batches: readonly number[];
  /** Everything before is gone, or never came. */
  begins: number;
  keeps: number;
}

const cases: fc.Arbitrary<Case> = fc.record({
  keys: fc.array(fc.constantFrom('a', 'b', 'c', 'ü', null), { minLength: 1, maxLength: 60 }),
  batches: fc.array(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
  begins: fc.nat({ max: 20 }),
  keeps: fc.integer({ min: 1, max: 70 }),
});

/** One of which every tier knows a part. */
const large: Case = {
  keys: Array.from({ length: 60 }, (_, offset) => ['a', 'b', 'ü'][offset % 3] ?? null),
  ...{ batches: [5], begins: 10, keeps: 40 },
};

let world: BufferedStreams;
before(async () => {
  world = await openBufferedStreams();
});
after(() => world.close());

/** Asks for every key behind every cursor. @returns how many answers had records in them. */
async function check(tier: Tier, keys: readonly (string | null)[]): Promise<number> {
  let told = 0;
  const questions = ['a', 'b', 'ü', 'nobody'].flatMap(key =>
    Array.from({ length: keys.length + 1 }, async (_, index) => {
      const after = index - 1;
      const answer = await tier.answer(key, after);
      if (answer === undefined) return;
      const { offsets, through } = answer;
      const truth = keys.flatMap((of, offset) => (of === key && offset > after && offset <= through ? [offset] : []));
      assert.deepEqual(offsets, truth, `${key} in (${after}, ${through}]`);
      assert.ok(through < keys.length, `through ${through} of ${keys.length}`);
      if (offsets.length > 0) told += 1;
    }),
  );
  await Promise.all(questions);
  return told;
}

function recordOf(topic: string, key: string | null, offset: number): LogRecord {
  const bytes = key === null ? null : Buffer.from(key);
  const headers = { ce_keysequence: Buffer.from(`${offset}`) };
  return logRecord({
    topic,
    partition: 0,
    offset,
    timestampMs: 1_000 + offset,
    key: bytes,
    value: Buffer.from('v'),
    headers,
  });
}

/** The log in stretches of the sizes that the case says, over and over. */
function* stretchesOf(
  { keys, batches, begins }: Case,
  topic: string,
): Generator<{ from: number; records: LogRecord[] }> {
  let from = Math.min(begins, keys.length);
  for (let index = 0; from < keys.length; index += 1) {
    const size = batches[index % batches.length] ?? 1;
    yield { from, records: keys.slice(from, from + size).map((key, at) => recordOf(topic, key, from + at)) };
    from = Math.min(keys.length, from + size);
  }
}

function ringTier(given: Case): Tier {
  const ring = openRings(given.keeps * 200).open();
  for (const { from, records } of stretchesOf(given, 't')) ring.append(from, records, from + records.length);
  const end = given.keys.length;
  return {
    answer: async (key, after) =>
      ring.reaches(after) && after < end
        ? { offsets: offsetsOf([...ring.after(after, end)].filter(one => one.key === key)), through: end - 1 }
        : undefined,
  };
}

/** The real scripts, with the real writer's calls; some windows begin late, some keep little. */
async function redisTier(given: Case): Promise<Tier> {
  const topic = randomUUID();
  const at = { topic, partition: 0 };
  const retention = { keyRecords: given.keeps, ageMs: 60_000, partitionBytes: given.keeps * 200 };
  const store = openBufferStore(world.client, world.deployment().name, retention);
  const fence = { generation: 1, counter: 1 };
  const id = randomUUID();
  await store.claim(at, fence, false);
  await store.open(at, fence, id, Math.min(given.begins, given.keys.length));
  for (const { from, records } of stretchesOf(given, topic)) {
    const last = records[records.length - 1];
    const mark = last === undefined ? undefined : pointOf(last);
    const newTail = from + records.length - 1;
    const append = { fence, id, expectedTail: from - 1, newTail, records, mark };
    assert.deepEqual(await store.append(at, append), { answer: 'OK' });
  }
  const ops = quietOps();
  const metrics = replayMetrics(ops.metrics, () => 0);
  const buffer = openReplayBuffer({
    store,
    topics: world.kafka.topics,
    scans: openScans({
      ...{ topics: world.kafka.topics, concurrency: 1, maxWaiting: 0, stallTimeoutMs: 30_000, metrics, log: ops.log },
    }),
    histories: openHistories(world.kafka.topics),
    config: { appendIntervalMs: 1, appendsInFlight: 1, fillRecords: 0, ringBytes: 0 },
    ops,
  });
  return {
    answer: (key, after) =>
      new Promise(resolve => {
        // The cursor's timestamp is known to be right, or has to be: both must hold.
        const check = after >= given.begins && after % 2 === 0;
        buffer.read(
          at,
          {
            key,
            topicId: undefined,
            after: { offset: after, timestampMs: 1_000 + after },
            check,
            holds: async () => true,
          },
          found =>
            resolve(found === undefined ? undefined : { offsets: offsetsOf(found.records), through: found.through }),
        );
      }),
  };
}

async function topicOf({ keys }: Pick<Case, 'keys'>): Promise<string> {
  const topic = await world.kafka.topic(1);
  await world.write(
    topic,
    0,
    keys.map((key, offset) => ({ key, sequence: offset })),
  );
  return topic;
}

async function kafkaTier(given: Case): Promise<Tier> {
  const topic = await topicOf(given);
  const begins = Math.min(given.begins, given.keys.length);
  if (begins > 0) await forget(world.kafka, topic, 0, begins);
  const { log, metrics } = quietOps();
  const scans = openScans({
    ...{ topics: world.kafka.topics, concurrency: 4, maxWaiting: 1_000, stallTimeoutMs: 30_000, log },
    metrics: replayMetrics(metrics, () => 0),
  });
  const until = given.keys.length;
  return {
    answer: (key, after) =>
      new Promise(resolve => {
        if (after + 1 >= until) return resolve(undefined);
        const offsets: number[] = [];
        scans.join(
          { topic, partition: 0 },
          {
            ...{ from: after + 1, until, key, expected: undefined },
            scanned(records, through) {
              offsets.push(...offsetsOf(records));
              if (through.offset + 1 < until) return true;
              resolve({ offsets, through: through.offset });
              return false;
            },
            failed: () => resolve(undefined),
          },
        );
      }),
  };
}

/** A stream that resumes at a gateway which has some of the log in its ring, more in Redis, and all in Kafka. */
async function allTiers(given: Case): Promise<Tier & { tiers(): Promise<string> }> {
  const topic = await world.kafka.topic(1);
  const redis = world.deployment();
  const write = (keys: readonly (string | null)[]) =>
    world.write(
      topic,
      0,
      keys.map(key => ({ key })),
    );
  const { keys } = given;
  const [begins, moves] = [Math.min(given.begins, keys.length), Math.min(given.keeps, keys.length)].sort(
    (a, b) => a - b,
  );
  await write(keys.slice(0, begins));
  const first = world.owner(topic, { redis, generation: 1, ringBytes: 1_000_000 });
  const inStep = async (replica: typeof first) => {
    const count = (await countOf(replica, 'buffer_windows_total')) + (replica === first ? 0 : 1);
    return count > 0 && (await countOf(replica, 'buffer_lag_records')) === 0;
  };
  await until('the first owner has a window', () => inStep(first));
  const live = await first.streams.open(request(topic));
  await write(keys.slice(begins, moves));
  await take(live, (moves ?? 0) - (begins ?? 0));
  await until('the first owner has appended', () => inStep(first));
  first.streams.leaveBuffer(topic, 0);
  const second = world.owner(topic, { redis, generation: 2, ringBytes: given.keeps * 200 });
  const follow = await second.streams.open(request(topic));
  await write(keys.slice(moves));
  await take(follow, keys.length - (moves ?? 0));
  return {
    async answer(key, after) {
      const expected = keys.filter((of, offset) => of === key && offset > after).length;
      const start = { kind: 'position', position: position(topic, [0, after]) } as const;
      const stream = await second.streams.open(request(topic, { key, start }));
      const offsets = offsetsOf(await take(stream, expected));
      await until('it has caught up', () => stream.watermark().partitions[0]?.offset === keys.length - 1);
      stream.close();
      return { offsets, through: keys.length - 1 };
    },
    async tiers() {
      const has = async (tier: TierName) => (await resumedFrom(second, tier)) > 0;
      return `${await has('memory')},${await has('redis')},${await has('kafka')}`;
    },
  };
}

const tiers: Readonly<Record<string, { open(given: Case): Tier | Promise<Tier>; runs: number }>> = {
  memory: { open: ringTier, runs: 200 },
  redis: { open: redisTier, runs: 40 },
  kafka: { open: kafkaTier, runs: 4 },
};
for (const [name, { open, runs }] of Object.entries(tiers)) {
  test(`what the ${name} tier says of a key behind a cursor is exactly what is in the log, or nothing`, async () => {
    let told = 0;
    await fc.assert(
      fc.asyncProperty(cases, async given => {
        told += await check(await open(given), given.keys);
      }),
      { numRuns: runs, endOnFailure: true, examples: [[large]] },
    );
    assert.ok(told > 20, `${told} answers with records in them`);
  });
}

test('what the tiers say together is exactly what is in the log, always', async () => {
  for (const given of fc.sample(cases, { numRuns: 3, seed: 7 })) {
    const tier = await allTiers(given);
    await check(tier, given.keys);
  }
  const tier = await allTiers(large);
  await check(tier, large.keys);
  assert.equal(await tier.tiers(), 'true,true,true', 'memory, Redis and Kafka have all answered');
});
