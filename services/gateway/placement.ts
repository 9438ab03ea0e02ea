import type { Caller, RouteClaims, RouteTokenVerifier } from '../../lib/auth/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import type { Ownership } from '../../lib/ownership/types.ts';

/** Whether a client that a router sent here belongs here. A client without a route token belongs everywhere. */
export interface Placement {
  /**
   * Checks the token and waits, bounded, for a partition that is being claimed.
   * @throws PenstockError UNAUTHENTICATED for a token that does not hold, NOT_OWNER when the partition is another
   *   replica's, UNAVAILABLE when no key can be had.
   */
  admit(routeToken: string | undefined): Promise<RouteClaims | undefined>;
}

type Admission = 'admit' | 'wait' | 'refuse';

export type PlacementOwnership = Pick<Ownership, 'tenure' | 'admits' | 'onTransition'>;

function admission(ownership: PlacementOwnership, partition: number): Admission {
  if (ownership.admits(partition)) return 'admit';
  return ownership.tenure(partition).state === 'claiming' ? 'wait' : 'refuse';
}

/** @throws PenstockError UNAUTHENTICATED when the route token was made for another user or another access token. */
export function checkBinding(route: RouteClaims | undefined, caller: Caller): void {
  if (!route) return;
  if (route.userKey === caller.userKey && route.accessTokenHash === caller.accessTokenHash) return;
  throw new PenstockError('UNAUTHENTICATED', 'the route token belongs to another access token', { reason: 'invalid' });
}

export interface PlacementOptions {
  /** Longest wait for a claim that is under way, ms. */
  claimWaitMs: number;
}

export function openPlacement(
  routes: Pick<RouteTokenVerifier, 'verify'>,
  ownership: PlacementOwnership,
  { claimWaitMs }: PlacementOptions,
): Placement {
  const waiting = new Map<number, Set<() => void>>();
  ownership.onTransition(partition => {
    for (const look of [...(waiting.get(partition) ?? [])]) look();
  });
  return {
    async admit(routeToken) {
      if (routeToken === undefined) return undefined;
      const claims = await routes.verify(routeToken);
      const { partition } = claims;
      let verdict = admission(ownership, partition);
      if (verdict === 'wait') verdict = await settled(partition);
      if (verdict === 'admit') return claims;
      throw new PenstockError('NOT_OWNER', `partition ${partition} is not owned by this replica`, { partition });
    },
  };

  /** What the claim that is under way comes to; `wait` when it takes too long. */
  function settled(partition: number): Promise<Admission> {
    return new Promise(resolve => {
      const looks = waiting.get(partition) ?? new Set();
      waiting.set(partition, looks);
      const end = () => {
        clearTimeout(timer);
        looks.delete(look);
        if (looks.size === 0) waiting.delete(partition);
        resolve(admission(ownership, partition));
      };
      const look = () => {
        if (admission(ownership, partition) !== 'wait') end();
      };
      const timer = setTimeout(end, claimWaitMs);
      looks.add(look);
    });
  }
}
