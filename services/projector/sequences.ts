import type { ReadRecord } from './reading.ts';
import type { Queries } from './store.ts';

interface Passed {
  key: string;
  topic: string;
  partition: number;
  sequence: number;
}

/** The last sequence of each key that was passed, per topic and partition, while a batch goes by. */
export interface Sequences {
  /** Whether the record is a repeat; if not, its sequence is passed now. Records without key or sequence never are. */
  isRepeat(read: ReadRecord): boolean;
  /** Stores what has been passed. */
  save(): Promise<void>;
}

export async function loadSequences(
  queries: Queries,
  scope: number,
  records: readonly ReadRecord[],
): Promise<Sequences> {
  const held = new Map<string, Passed>();
  const changed = new Set<Passed>();
  const keys = new Set<string>();
  for (const { key, sequence } of records) if (sequence !== undefined && key !== '') keys.add(key);
  if (keys.size > 0) {
    const stored = await queries.query<Passed>(
      `SELECT encode(key_hash, 'hex') AS key, topic, partition, sequence FROM penstock.view_sequences
       WHERE key_hash = ANY($1::bytea[]) AND scope = $2`,
      [[...keys].map(key => `\\x${key}`), scope],
    );
    for (const passed of stored) held.set(nameOf(passed), passed);
  }
  return {
    isRepeat({ key, sequence, record: { topic, partition } }) {
      if (sequence === undefined || key === '') return false;
      const passed: Passed = { key, topic, partition, sequence };
      const known = held.get(nameOf(passed));
      if (known === undefined) {
        held.set(nameOf(passed), passed);
        changed.add(passed);
        return false;
      }
      if (sequence <= known.sequence) return true;
      known.sequence = sequence;
      changed.add(known);
      return false;
    },
    async save() {
      if (changed.size === 0) return;
      const rows = [...changed].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
      await queries.query(
        `INSERT INTO penstock.view_sequences (scope, key_hash, topic, partition, sequence)
         SELECT $1, * FROM unnest($2::bytea[], $3::text[], $4::integer[], $5::bigint[])
         ON CONFLICT (key_hash, scope, topic, partition) DO UPDATE SET sequence = excluded.sequence`,
        [
          scope,
          rows.map(({ key }) => `\\x${key}`),
          rows.map(({ topic }) => topic),
          rows.map(({ partition }) => partition),
          rows.map(({ sequence }) => sequence),
        ],
      );
    },
  };
}

function nameOf({ key, topic, partition }: Passed): string {
  return `${key} ${topic} ${partition}`;
}
