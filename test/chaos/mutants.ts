import type { Mutant } from '../support/mutate.ts';
import type { ChaosResult } from './chaos.ts';

/** One thing of the product broken on purpose, and the count of a run that must tell. */
export interface ChaosMutant {
  caughtBy: keyof ChaosResult['findings'];
  /** What makes it show. */
  faults: readonly string[];
  changes: readonly Mutant[];
  /** Default 80. */
  ticksPerSecond?: number;
  /** PENSTOCK_* under which it shows. */
  env?: Readonly<Record<string, string>>;
}

const delivery = {
  file: 'services/gateway/streams/record-flow.ts',
  find: 'sink.next(members, cursorBehind(item), catchUp.isReplayed(item.record));',
};
/** True once in the life of a gateway, after a while. */
const once = '(globalThis.chaosCount = (globalThis.chaosCount ?? 0) + 1) === 500';
/** No ring: who resumes reads the log, so that live records wait meanwhile. */
const withoutRing = { PENSTOCK_REPLAY_RING_BYTES: '0' };

const buffer = 'lib/replay/buffer';
const fenceCheck = 'if theirs > generation or (theirs == generation and theirCounter > counter) then';

export const mutants: Readonly<Record<string, ChaosMutant>> = {
  'drop-one-record': {
    caughtBy: 'lost',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const cursor = cursorBehind(item); if (!(${once})) sink.next(members, cursor, false);`,
      },
    ],
  },
  'repeat-one-record': {
    caughtBy: 'twice',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const cursor = cursorBehind(item); sink.next(members, cursor, false); if (${once}) sink.next(members, cursor, false);`,
      },
    ],
  },
  'swap-two-records': {
    caughtBy: 'outOfOrder',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const next = [members, cursorBehind(item), false];
          if (held === undefined && ${once}) held = next;
          else { sink.next(...next); if (held) sink.next(...held); held = undefined; }`,
      },
      { file: delivery.file, find: 'let inRow = 0;', replace: 'let inRow = 0; let held;' },
    ],
  },
  'deliver-to-wrong-key': {
    caughtBy: 'foreign',
    faults: ['redis-flush'],
    changes: [
      {
        file: 'services/gateway/streams/streams.ts',
        find: 'key: userKey, start, bufferBytes });',
        replace: 'key: undefined, start, bufferBytes });',
      },
    ],
  },
  'resume-at-now': {
    caughtBy: 'lost',
    faults: ['absent-clients', 'gateway-kill'],
    changes: [
      {
        file: 'services/gateway/streams/streams.ts',
        find: "return asked.kind === 'cursor' ?",
        replace: "return asked.kind === 'cursor' ? { kind: 'now' } : asked.kind === 'cursor' ?",
      },
    ],
  },
  'forget-the-seams-buffer': {
    caughtBy: 'lost',
    faults: ['absent-clients'],
    changes: [
      { file: 'lib/replay/seam.ts', find: 'release: buffer => buffer,', replace: 'release: () => [],' },
      {
        // A scan's last fetch mostly has what waits in the buffer too. Without that, which is as right, the buffer is all there is.
        file: 'lib/replay/flow.ts',
        find: '    if (this.#closed) return false;\n    this.#check = false;',
        replace: `    if (this.#closed) return false;
    this.#check = false;
    const { until = Infinity } = this.#seam.state;
    records = records.filter(({ record }) => record.offset < until);
    if (through.offset >= until) through = { offset: until - 1, timestampMs: -1 };`,
      },
    ],
    ticksPerSecond: 400,
    env: withoutRing,
  },
  'no-drop-by-offset': {
    caughtBy: 'twice',
    faults: ['absent-clients', 'gateway-kill'],
    changes: [
      {
        file: 'lib/replay/flow.ts',
        find: 'from: checks ? offset : offset + 1,',
        replace: 'from: Math.max(0, offset),',
      },
      {
        file: 'lib/replay/seam.ts',
        find: 'isNew: (offset, passed) => offset > passed,',
        replace: 'isNew: () => true,',
      },
      {
        file: 'lib/replay/sequence-filter.ts',
        find: 'sequence <= lastPassed;',
        replace: 'sequence < lastPassed;',
      },
    ],
    env: withoutRing,
  },
  'skip-the-sequence-check': {
    caughtBy: 'twice',
    faults: ['redis-flush'],
    changes: [
      {
        file: 'lib/replay/sequence-filter.ts',
        find: 'return lastPassed !== undefined && sequence !== undefined && sequence <= lastPassed;',
        replace: 'return lastPassed === Number.NaN && sequence === lastPassed;',
      },
    ],
  },
  'commit-early': {
    caughtBy: 'viewFaults',
    faults: ['projector-kill'],
    changes: [
      {
        file: 'services/projector/batch.ts',
        find: '  const topics = new Set(chunks.map(({ topic }) => topic));',
        replace: `  await movePositions(queries, target.scope, chunks.map(({ topic, partition, next }) => ({ topic, partition, next, timestampMs: -1 })));
  await queries.query('COMMIT');
  await queries.query('BEGIN');
  await new Promise(resolve => setTimeout(resolve, 200));
  const topics = new Set(chunks.map(({ topic }) => topic));`,
      },
    ],
  },
  'read-uncommitted': {
    caughtBy: 'foreign',
    faults: ['transactions'],
    changes: [
      { file: 'lib/kafka/wire/requests.ts', find: 'int8(readCommitted).int32(0)', replace: 'int8(0).int32(0)' },
    ],
  },
  'append-before-the-epoch-check': {
    // Both write while a partition changes hands; who writes first then is a matter of milliseconds.
    caughtBy: 'bufferFaults',
    faults: ['rolling-restart', 'gateway-term'],
    changes: [
      {
        file: `${buffer}/append.lua`,
        find: `${fenceCheck}\n  return {'STALE', stored[1], stored[2]}\nend`,
        replace: 'local stale = theirs > generation or (theirs == generation and theirCounter > counter)',
      },
      {
        file: `${buffer}/append.lua`,
        find: "redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'counter', ARGV[2], 'tail',",
        replace: `if not stale then redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'counter', ARGV[2]) end
          redis.call('HSET', KEYS[1], 'tail',`,
      },
      {
        file: `${buffer}/append.lua`,
        find: "return {'OK', from}\n",
        replace: "if stale then return {'STALE', stored[1], stored[2]} end return {'OK', from}\n",
      },
    ],
  },
  'skip-the-fence': {
    caughtBy: 'bufferFaults',
    faults: ['gateway-pause', 'gateway-term'],
    changes: ['claim', 'open', 'append'].map(script => ({
      file: `${buffer}/${script}.lua`,
      find: fenceCheck,
      replace: 'if false then',
    })),
  },
  'ignore-hole': {
    caughtBy: 'bufferFaults',
    faults: ['redis-rollback'],
    changes: [{ file: `${buffer}/append.lua`, find: ' or stored[4] ~= ARGV[4]', replace: '' }],
  },
  'serve-a-hole-as-complete': {
    caughtBy: 'lost',
    faults: ['absent-clients'],
    changes: [
      {
        file: `${buffer}/proof.ts`,
        find: 'follows: (previous, after) => previous <= after,',
        replace: 'follows: () => true,',
      },
    ],
    ticksPerSecond: 400,
    // Streams are trimmed to a node of Redis (100 entries) or two; a larger ring would have what they miss. (After a
    // FLUSHALL there is another proof: nobody knows the time of the cursor's record.)
    env: { PENSTOCK_REPLAY_RING_BYTES: '8192', PENSTOCK_REPLAY_KEY_RECORDS: '1' },
  },
};
