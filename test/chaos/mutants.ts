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
  find: 'sink.next(members, cursorBehind(item));',
};
/** True once in the life of a gateway, after a while. */
const once = '(globalThis.chaosCount = (globalThis.chaosCount ?? 0) + 1) === 500';
/** No ring: who resumes reads the log, so that live records wait meanwhile. */
const withoutRing = { PENSTOCK_REPLAY_RING_BYTES: '0' };

export const mutants: Readonly<Record<string, ChaosMutant>> = {
  'drop-one-record': {
    caughtBy: 'lost',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const cursor = cursorBehind(item); if (!(${once})) sink.next(members, cursor);`,
      },
    ],
  },
  'repeat-one-record': {
    caughtBy: 'twice',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const cursor = cursorBehind(item); sink.next(members, cursor); if (${once}) sink.next(members, cursor);`,
      },
    ],
  },
  'swap-two-records': {
    caughtBy: 'outOfOrder',
    faults: ['redis-flush'],
    changes: [
      {
        ...delivery,
        replace: `const next = [members, cursorBehind(item)];
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
        find: 'from: this.#check && offset >= 0 ? offset : offset + 1,',
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
};
