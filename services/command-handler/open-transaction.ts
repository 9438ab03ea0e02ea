import type { Topics } from '../../lib/kafka/index.ts';

/**
 * Says which transaction has not ended below these offsets; undefined where all have. For whoever must know all of a log: what
 * lies behind an open transaction is not read.
 */
export async function openTransaction(
  topics: Pick<Topics, 'offsets'>,
  topic: string,
  marks: ReadonlyMap<number, number>,
): Promise<string | undefined> {
  for (const [partition, { end }] of await topics.offsets(topic, [...marks.keys()])) {
    if (end >= (marks.get(partition) ?? 0)) continue;
    return `a transaction is open in ${topic}/${partition} at offset ${end}: stop its producer, or abort it (docs/operations.md)`;
  }
  return undefined;
}
