import type { Topics } from '../../lib/kafka/index.ts';

/**
 * The partition count that the app's topics share. The gateways check that they do; the router takes the first topic
 * that is there. @throws Error when none is there yet.
 */
export async function partitionCountOf(
  names: readonly string[],
  topics: Pick<Topics, 'partitionCount'>,
): Promise<number> {
  for (const name of names) {
    const count = await topics.partitionCount(name);
    if (count !== undefined) return count;
  }
  throw new Error(`none of the app's topics exists yet: ${names.join(', ')}`);
}
