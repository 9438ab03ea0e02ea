import { messageOf } from '../../lib/errors.ts';
import type { KafkaRecord } from '../../lib/kafka/index.ts';
import type { BatchResult, Chunk } from './batch.ts';
import { faultOf } from './store.ts';

const maxConflicts = 10;

/**
 * Applies chunks; where PostgreSQL refuses a value, halves them until the record is found that carries it, so that it
 * holds up no other. `refuse` takes that record away, and it then counts as a misfit.
 * @throws whatever else `apply` throws; some of the chunks may have been applied by then.
 */
export async function applySplitting(
  chunks: readonly Chunk[],
  apply: (chunks: readonly Chunk[]) => Promise<BatchResult>,
  refuse: (record: KafkaRecord, reason: string) => Promise<void>,
): Promise<BatchResult> {
  try {
    return await retrying(() => apply(chunks));
  } catch (error) {
    if (faultOf(error) !== 'record') throw error;
    const halves = halvesOf(chunks);
    if (halves) {
      const first = await applySplitting(halves[0], apply, refuse);
      return first.kind === 'stale' ? first : applySplitting(halves[1], apply, refuse);
    }
    const [chunk] = chunks;
    const [only] = chunk?.records ?? [];
    if (!chunk || !only || only.misfit !== undefined) throw error;
    const misfit = `PostgreSQL can't store it: ${messageOf(error)}`;
    await refuse(only.record, misfit);
    return retrying(() => apply([{ ...chunk, records: [{ ...only, misfit }] }]));
  }
}

/** Two transactions that stood in each other's way: one goes on, the other begins again. */
export async function retrying<Result>(attempt: () => Promise<Result>): Promise<Result> {
  for (let conflicts = 0; ; conflicts++) {
    try {
      return await attempt();
    } catch (error) {
      if (faultOf(error) !== 'conflict' || conflicts === maxConflicts) throw error;
    }
  }
}

/** Undefined where there is only one record left. */
export function halvesOf(chunks: readonly Chunk[]): readonly [Chunk[], Chunk[]] | undefined {
  const count = chunks.reduce((sum, { records }) => sum + records.length, 0);
  if (count <= 1) return undefined;
  const first: Chunk[] = [];
  const second: Chunk[] = [];
  let room = Math.floor(count / 2);
  for (const chunk of chunks) {
    const { records } = chunk;
    if (records.length <= room) first.push(chunk);
    else if (room === 0) second.push(chunk);
    else {
      const middle = (records[room - 1]?.record.offset ?? chunk.from) + 1;
      first.push({ ...chunk, next: middle, records: records.slice(0, room) });
      second.push({ ...chunk, from: middle, records: records.slice(room) });
    }
    room -= Math.min(room, records.length);
  }
  return [first, second];
}
