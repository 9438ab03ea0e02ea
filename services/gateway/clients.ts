import { type Clock, systemClock } from '../../lib/ownership/clock.ts';

/** A long-lived connection of a client: a WebSocket, or an SSE response. */
export interface Client {
  /** Partition of the caller's key. */
  readonly partition: number;
  /** Whose it is; only to count the connections of a user. */
  readonly userKey?: string;
  /** A router has sent it, because this replica owned the partition. */
  readonly routed: boolean;
  /** Asks the client to reconnect and resume: WebSocket close code 1012, or the end of the SSE response. */
  moveOn(): void;
  /** Runs it once: right behind the client's next event, or after `withinMs`. */
  afterEvent(withinMs: number, run: () => void): void;
  /**
   * Tells the client that it is time to connect elsewhere, while it is served here; absent for one that has to be closed
   * to do so (docs/protocol.md, Moving).
   */
  readonly announceMove?: (() => void) | undefined;
}

/** This share of a window a client that is due waits for its next event. */
const eventShare = 1 / 8;
/** In this share of a window, its first, moves are announced: so the last to be told has the rest of it to go. */
const announcingShare = 1 / 2;

/** Who is connected. */
export interface Clients {
  /** Returns what takes the client off again. */
  add(client: Client): () => void;
  /**
   * Asks the clients of a partition (those that `which` picks) to move on, spread at random over `windowMs` so that their
   * next gateway is not stampeded. One that moves by itself is told so, and closed when the window is over; any other is
   * closed right behind an event: its way to the next gateway falls into the time in which nothing is due to it anyway.
   * `stillSo` is asked again before each: ownership may have come back meanwhile.
   */
  moveOn(partition: number, windowMs: number, stillSo?: () => boolean, which?: (client: Client) => boolean): void;
  count(partition?: number, which?: (client: Client) => boolean): number;
  onJoined(listener: (client: Client) => void): void;
  /** The last client of a partition has gone. */
  onEmptied(listener: (partition: number) => void): void;
}

export function openClients(random: () => number = Math.random, clock: Clock = systemClock): Clients {
  const byPartition = new Map<number, Set<Client>>();
  const joined: ((client: Client) => void)[] = [];
  const emptied: ((partition: number) => void)[] = [];
  return {
    add(client) {
      const { partition } = client;
      const peers = byPartition.get(partition) ?? new Set();
      byPartition.set(partition, peers.add(client));
      for (const listener of joined) listener(client);
      return () => {
        if (!peers.delete(client) || peers.size > 0) return;
        byPartition.delete(partition);
        for (const listener of emptied) listener(partition);
      };
    },
    moveOn(partition, windowMs, stillSo = () => true, which = () => true) {
      for (const client of byPartition.get(partition) ?? []) {
        if (!which(client)) continue;
        const isDue = () => byPartition.get(partition)?.has(client) && stillSo();
        const moveOn = () => {
          if (isDue()) client.moveOn();
        };
        const { announceMove } = client;
        if (announceMove && windowMs > 0) {
          clock.after(random() * windowMs * announcingShare, () => void (isDue() && announceMove()));
          clock.after(windowMs, moveOn);
          continue;
        }
        const patienceMs = windowMs * eventShare;
        clock.after(random() * (windowMs - patienceMs), () => client.afterEvent(patienceMs, moveOn));
      }
    },
    count(partition, which) {
      if (partition !== undefined) {
        const peers = byPartition.get(partition) ?? new Set();
        return which ? [...peers].filter(which).length : peers.size;
      }
      return [...byPartition.values()].reduce((sum, { size }) => sum + size, 0);
    },
    onJoined: listener => void joined.push(listener),
    onEmptied: listener => void emptied.push(listener),
  };
}
