import type { Owner, OwnerTable } from '../../lib/ownership/types.ts';

/** What came of asking one gateway. Only `not-owner` and `unreachable` (nothing was sent) may be followed by another try. */
export type Attempt =
  | { kind: 'served' }
  | { kind: 'not-owner' }
  | { kind: 'unreachable'; reason: string }
  | { kind: 'broken'; reason: string }
  | { kind: 'client-gone' };

export type Asked =
  | { kind: 'served'; attempts: number; by: Owner }
  | { kind: 'no-owner'; reason: string }
  | { kind: 'broken'; reason: string }
  | { kind: 'client-gone' };

export interface AskOptions {
  partition: number;
  owners: Pick<OwnerTable, 'owner' | 'waitForOwner'>;
  /** After this time no further attempt begins, ms. */
  waitMs: number;
  clientGone: AbortSignal;
  /** Told how long it took until there was an owner to ask, where there was none at once, s. */
  onWaited(seconds: number): void;
}

const firstPauseMs = 50;
const longestPauseMs = 500;

/**
 * Asks the partition's owner; where that one is wrong or cannot be reached, waits for another. After a short pause the
 * same one is asked again if the table still names it: it may have been about to become the owner, or to come back.
 */
export async function askOwners(
  { partition, owners, waitMs, clientGone, onWaited }: AskOptions,
  attempt: (owner: Owner) => Promise<Attempt>,
): Promise<Asked> {
  const deadlineMs = performance.now() + waitMs;
  let waitedMs = 0;
  let givenUp = false;
  const wait = async (timeoutMs: number, not?: Owner): Promise<Owner | undefined> => {
    const startedMs = performance.now();
    const longestMs = Math.max(0, Math.min(timeoutMs, deadlineMs - startedMs));
    const owner = await owners.waitForOwner(partition, longestMs, not);
    const tookMs = performance.now() - startedMs;
    waitedMs += tookMs;
    // No owner, and not for lack of time: the table is closed.
    givenUp = owner === undefined && tookMs + 20 < longestMs;
    return owner;
  };
  let reason = `partition ${partition} has no owner now`;
  let owner = owners.owner(partition) ?? (await wait(waitMs));
  let asked: Asked | undefined;
  for (let attempts = 1; owner !== undefined && asked === undefined; attempts++) {
    if (clientGone.aborted) return { kind: 'client-gone' };
    const result = await attempt(owner);
    if (result.kind === 'served') asked = { kind: 'served', attempts, by: owner };
    else if (result.kind === 'broken' || result.kind === 'client-gone') asked = result;
    else {
      reason = result.kind === 'not-owner' ? 'the gateway is not the owner' : result.reason;
      const other = await wait(Math.min(longestPauseMs, firstPauseMs * 2 ** (attempts - 1)), owner);
      if (givenUp || performance.now() >= deadlineMs) owner = undefined;
      else owner = other ?? owners.owner(partition) ?? (await wait(waitMs));
    }
  }
  if (waitedMs >= 1) onWaited(waitedMs / 1_000);
  return asked ?? { kind: 'no-owner', reason };
}
