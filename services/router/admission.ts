import { openWorkQueue, type WorkQueue } from '../../lib/auth/index.ts';
import { limitExceeded, PenstockError } from '../../lib/errors.ts';

export interface AdmissionLimits {
  /** Upgrades under way at one gateway. */
  maxPending: number;
  /** Upgrades that wait for one gateway. */
  maxWaiting: number;
  /** Longest wait, ms. */
  maxWaitMs: number;
}

/**
 * How many newcomers one gateway is asked to take at once. When thousands come back together, each would otherwise share
 * the gateway with all others until the handshakes of all of them time out; in a line, the first are served meanwhile.
 * By gateway, so that one that does not answer holds up nobody else's clients.
 */
export interface Admission {
  /** @throws PenstockError LIMIT_EXCEEDED when too many wait already, UNAVAILABLE when for too long. */
  run<Result>(address: string, upgrade: () => Promise<Result>): Promise<Result>;
  /**
   * Whether somebody who only asks for the way should come later: a line that is half full has room for those who have
   * asked before. @throws PenstockError LIMIT_EXCEEDED with `extensions.retryAfterSeconds`.
   */
  checkRoom(address: string | undefined): void;
  /** Upgrades that wait now. */
  waiting(): number;
}

/** Whoever is turned away comes back spread over this many seconds, from the first on. */
const spreadSeconds = 5;

export function openAdmission(
  { maxPending, maxWaiting, maxWaitMs }: AdmissionLimits,
  random: () => number = Math.random,
): Admission {
  const lines = new Map<string, WorkQueue>();
  const busy = (why: 'full' | 'late') => {
    const retry = { retryAfterSeconds: 1 + Math.floor(random() * spreadSeconds) };
    const message = 'too many clients connect at once';
    if (why === 'full') return limitExceeded('PENSTOCK_ROUTE_MAX_WAITING', message, retry);
    return new PenstockError('UNAVAILABLE', message, retry);
  };
  return {
    async run(address, upgrade) {
      const line = lines.get(address) ?? openWorkQueue({ slots: maxPending, maxWaiting, maxWaitMs, busy });
      lines.set(address, line);
      try {
        return await line.run(upgrade);
      } finally {
        if (line.isIdle() && lines.get(address) === line) lines.delete(address);
      }
    },
    checkRoom(address) {
      const line = address === undefined ? undefined : lines.get(address);
      if (line !== undefined && line.waiting() * 2 >= maxWaiting) throw busy('full');
    },
    waiting: () => [...lines.values()].reduce((sum, line) => sum + line.waiting(), 0),
  };
}
