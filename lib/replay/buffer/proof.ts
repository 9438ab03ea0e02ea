import type { BufferRead, RawAnswer, RawEntry } from './types.ts';

/**
 * What a buffer's answer proves: these entries are every record of the key in (after, through]. `done`: there is no more
 * to be had from the buffer behind that.
 */
export interface Proof {
  entries: readonly RawEntry[];
  through: number;
  done: boolean;
}

/** The rules by themselves, so that a test can break one and see that it is noticed. */
export interface ProofRules {
  /** Where the key's last record is not known: whether every record behind `after` would be. */
  windowReaches(from: number, after: number): boolean;
  /** Nothing of the key is missing between `after` and the entry. */
  follows(previous: number, after: number): boolean;
  /** The entries end where the key does. */
  ends(finalOffset: number, last: number): boolean;
}

export const proofRules: ProofRules = {
  windowReaches: (from, after) => from <= after + 1,
  follows: (previous, after) => previous <= after,
  ends: (finalOffset, last) => finalOffset === last,
};

/**
 * Completeness is proved, never assumed: what expired, was trimmed, evicted, flushed, or lost in a failover leaves a hole
 * here. @param full the answer has as many entries as one may have: there may be more.
 * @returns undefined where nothing is proved; another tier answers then.
 */
export function prove(
  { after }: Pick<BufferRead, 'after'>,
  answer: RawAnswer | undefined,
  full: boolean,
  rules: ProofRules = proofRules,
): Proof | undefined {
  if (answer === undefined || answer.tail < after) return undefined;
  const { tail, from, last, entries } = answer;
  if (last === undefined)
    return rules.windowReaches(from, after) ? { entries: [], through: tail, done: true } : undefined;
  if (last <= after) return { entries: [], through: tail, done: true };
  let reached = after;
  for (const [index, { offset, previous }] of entries.entries()) {
    // The first one's may lie before: the key had nothing since.
    if (index === 0 ? !rules.follows(previous, after) : previous !== reached) return undefined;
    reached = offset;
  }
  if (entries.length === 0) return undefined;
  if (rules.ends(reached, last)) return { entries, through: tail, done: true };
  return full && reached < last ? { entries, through: reached, done: false } : undefined;
}
