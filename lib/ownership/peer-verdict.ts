/** How a connection to a peer ended, and what a new one at once came to. */
export interface PeerEnd {
  /** The member id that it said last over that connection; undefined: it has said nothing. */
  said: string | undefined;
  /** It said that it is leaving. */
  leaving: boolean;
  /** What connecting again came to in the end; with `connected`, who answered. */
  again: { kind: 'refused' } | { kind: 'connected'; said: string };
}

/**
 * Whether a peer's process is proved to be dead: its host closed the connection, and nobody listens there any more, or
 * somebody else does. Silence proves nothing: the network may be gone, or the process only paused; for those the group's
 * session time-out is there.
 * @returns the member id to put out of the group: only the one that was learnt over that very connection.
 */
export function deadMember({ said, leaving, again }: PeerEnd): string | undefined {
  if (said === undefined || leaving) return undefined;
  switch (again.kind) {
    case 'refused':
      return said;
    case 'connected':
      return again.said === said ? undefined : said;
  }
}
