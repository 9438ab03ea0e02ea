/** Who speaks at a peer's address. */
export interface PeerIdentity {
  /** The id that the group knows it by now. */
  memberId: string;
  /** Of the process: the same under whatever member ids for as long as it lives, another one after a start. */
  incarnation: string;
}

/** How a connection to a peer ended, and what a new one at once came to. */
export interface PeerEnd {
  /** What it said last over that connection; undefined: it has said nothing. */
  said: PeerIdentity | undefined;
  /** It said that it is leaving. */
  leaving: boolean;
  /** What connecting again came to in the end; with `connected`, which process answered. */
  again: { kind: 'refused' } | { kind: 'connected'; incarnation: string } | { kind: 'silent'; forMs: number };
}

/**
 * Whether a peer's process is dead: its host closed the connection, and nobody listens there any more, or somebody else
 * does. Or it has been silent for longer than any process that works (it writes a sign of life every quarter of that
 * time), and a new connection was not answered either: its host is gone, or it is paused. A short silence proves nothing.
 * @param silenceMs what counts as long.
 * @returns whom to put out of the group: only the member id that was learnt over that very connection.
 */
export function deadMember({ said, leaving, again }: PeerEnd, silenceMs: number): PeerIdentity | undefined {
  if (said === undefined || leaving) return undefined;
  switch (again.kind) {
    case 'refused':
      return said;
    case 'connected':
      return again.incarnation === said.incarnation ? undefined : said;
    case 'silent':
      return again.forMs >= silenceMs ? said : undefined;
  }
}

/**
 * A process that was put out is not put out again for `pauseMs`, whatever its member id is by then: a one-way loss must
 * not evict for ever. Another process at its address has not been put out yet.
 */
export interface Eviction {
  untilMs: number;
  pauseMs: number;
}

const firstPauseMs = 10_000;
const mostPauseMs = 600_000;

/** The next eviction of a process after `last`; undefined: not so soon, the session time-out decides. */
export function nextEviction(last: Eviction | undefined, nowMs: number): Eviction | undefined {
  if (last !== undefined && nowMs < last.untilMs) return undefined;
  const pauseMs = last === undefined ? firstPauseMs : Math.min(mostPauseMs, last.pauseMs * 2);
  return { untilMs: nowMs + pauseMs, pauseMs };
}
