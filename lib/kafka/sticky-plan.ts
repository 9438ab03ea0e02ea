/** A member as the group's leader sees it when it makes the plan. */
export interface Claimant {
  memberId: string;
  /** What it held when it (re)joined. */
  owned: readonly number[];
  /** The generation in which it was given them; -1 when it never had any. */
  generation: number;
}

/**
 * Who gets which partition. Pure and independent of the order of `members`: every partition exactly once, member
 * counts differ by one at most, and as few partitions move as that allows. Of two members that claim the same
 * partition the one with the newer generation is believed (the other is a zombie that came back), then the lower id.
 */
export function planSticky(partitionCount: number, members: readonly Claimant[]): Map<string, number[]> {
  const sorted = [...members].sort((a, b) => compare(a.memberId, b.memberId));
  const plan = new Map(sorted.map(member => [member.memberId, [] as number[]]));
  if (sorted.length === 0) return plan;

  const owners = new Array<Claimant | undefined>(partitionCount).fill(undefined);
  for (const member of sorted) {
    for (const partition of member.owned) {
      if (!Number.isInteger(partition) || partition < 0 || partition >= partitionCount) continue;
      const holder = owners[partition];
      if (holder === undefined || member.generation > holder.generation) owners[partition] = member;
    }
  }
  const held = new Map(sorted.map(member => [member.memberId, [] as number[]]));
  const free: number[] = [];
  owners.forEach((owner, partition) => {
    if (owner === undefined) free.push(partition);
    else held.get(owner.memberId)?.push(partition);
  });

  // Whoever holds most keeps the extra one: any other choice would move a partition more.
  const heldCount = (memberId: string) => held.get(memberId)?.length ?? 0;
  const byHeld = [...sorted].sort(
    (a, b) => heldCount(b.memberId) - heldCount(a.memberId) || compare(a.memberId, b.memberId),
  );
  const floor = Math.floor(partitionCount / sorted.length);
  const extras = partitionCount % sorted.length;
  const quotas = new Map(byHeld.map((member, rank) => [member.memberId, floor + (rank < extras ? 1 : 0)]));

  for (const { memberId } of sorted) {
    const mine = held.get(memberId) ?? [];
    const quota = quotas.get(memberId) ?? 0;
    plan.set(memberId, mine.slice(0, quota));
    for (const partition of mine.slice(quota)) free.push(partition);
  }
  free.sort((a, b) => a - b);
  let next = 0;
  for (const { memberId } of sorted) {
    const mine = plan.get(memberId) ?? [];
    const missing = (quotas.get(memberId) ?? 0) - mine.length;
    for (const partition of free.slice(next, next + missing)) mine.push(partition);
    next += missing;
    mine.sort((a, b) => a - b);
  }
  return plan;
}

function compare(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
