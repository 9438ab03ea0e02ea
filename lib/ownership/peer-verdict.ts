/** How a connection to a peer ended, and what a new one at once came to. */
export interface PeerEnd {
  /** The member id that it said last over that connection; undefined: it has said nothing. */
  said: string | undefined;
  /** It said that it is leaving. */
  leaving: boolean;
  /** What connecting again came to in the end; with `connected`, who answered. */
  again: { kind: 'refused' } | { kind: 'connected'; said: string } | { kind: 'silent'; forMs: number };
}

/**
 * Whether a peer's process is dead: its host closed the connection, and nobody listens there any more, or somebody else
 * does. Or it has been silent for longer than any process that works (it writes a sign of life every quarter of that
 * time), and a new connection was not answered either: its host is gone, or it is paused. A short silence proves nothing.
 * @param silenceMs what counts as long.
 * @returns the member id to put out of the group: only the one that was learnt over that very connection.
 */
export function deadMember({ said, leaving, again }: PeerEnd, silenceMs: number): string | undefined {
  if (said === undefined || leaving) return undefined;
  switch (again.kind) {
    case 'refused':
      return said;
    case 'connected':
      return again.said === said ? undefined : said;
    case 'silent':
      return again.forMs >= silenceMs ? said : undefined;
  }
}

/** After an eviction at an address there is none for `pauseMs`: a one-way loss must not evict for ever. */
export interface Eviction {
  untilMs: number;
  pauseMs: number;
}

const firstPauseMs = 10_000;
const mostPauseMs = 600_000;

/** The next eviction at an address after `last`; undefined: not so soon, the session time-out decides. */
export function nextEviction(last: Eviction | undefined, nowMs: number): Eviction | undefined {
  if (last !== undefined && nowMs < last.untilMs) return undefined;
  const pauseMs = last === undefined ? firstPauseMs : Math.min(mostPauseMs, last.pauseMs * 2);
  return { untilMs: nowMs + pauseMs, pauseMs };
}
