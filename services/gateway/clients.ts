import { type Clock, systemClock } from '../../lib/ownership/clock.ts';

/** A long-lived connection of a client: a WebSocket, or an SSE response. */
export interface Client {
  /** Partition of the caller's key. */
  readonly partition: number;
  /** A router has sent it, because this replica owned the partition. */
  readonly routed: boolean;
  /** Asks the client to reconnect and resume: WebSocket close code 1012, or the end of the SSE response. */
  moveOn(): void;
  /** Runs it once: right behind the client's next event, or after `withinMs`. */
  afterEvent(withinMs: number, run: () => void): void;
}

/** This share of a window a client that is due waits for its next event. */
const eventShare = 1 / 8;

/** Who is connected. */
export interface Clients {
  /** Returns what takes the client off again. */
  add(client: Client): () => void;
  /**
   * Asks the clients of a partition (those that `which` picks) to move on, spread at random over `windowMs` so that their
   * next gateway is not stampeded, and each right behind an event: its way to the next gateway falls into the time in which
   * nothing is due to it anyway. `stillSo` is asked again before each: ownership may have come back meanwhile.
   */
  moveOn(partition: number, windowMs: number, stillSo?: () => boolean, which?: (client: Client) => boolean): void;
  count(partition?: number): number;
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
        const patienceMs = windowMs * eventShare;
        clock.after(random() * (windowMs - patienceMs), () =>
          client.afterEvent(patienceMs, () => {
            if (byPartition.get(client.partition)?.has(client) && stillSo()) client.moveOn();
          }),
        );
      }
    },
    count(partition) {
      if (partition !== undefined) return byPartition.get(partition)?.size ?? 0;
      return [...byPartition.values()].reduce((sum, { size }) => sum + size, 0);
    },
    onJoined: listener => void joined.push(listener),
    onEmptied: listener => void emptied.push(listener),
  };
}
