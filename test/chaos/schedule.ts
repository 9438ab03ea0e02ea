import { type Random, seeded } from '../proof/random.ts';

/** One fault of a run: what, after how long a pause, and the seed of its own dice. */
export interface Step {
  fault: string;
  /** Since the fault before it was healed, ms. */
  pauseMs: number;
  seed: number;
}

/**
 * The faults of a run in order: endless, in rounds in which each comes once. The same seed and names give the same schedule;
 * when each begins also depends on how long the ones before it took to heal.
 * @param names may name a fault several times, to have it more often.
 */
export function* schedule(
  seed: number,
  names: readonly string[],
  pause: { minMs: number; maxMs: number },
): Generator<Step> {
  const random = seeded(seed);
  while (names.length > 0) {
    for (const fault of shuffled(names, random)) {
      yield { fault, pauseMs: random.integer(pause.minMs, pause.maxMs), seed: random.integer(1, 2 ** 31 - 1) };
    }
  }
}

function shuffled<T>(items: readonly T[], random: Random): T[] {
  return items
    .map(item => ({ item, place: random.next() }))
    .sort((a, b) => a.place - b.place)
    .map(({ item }) => item);
}
