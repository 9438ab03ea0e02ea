import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../ops/index.ts';
import { Peer } from './peer.ts';
import { deadMember, type Eviction, nextEviction, type PeerEnd } from './peer-verdict.ts';

export interface PeerWatch {
  /** The peers there are now, host:port each; others are let go of. */
  follow(peers: Iterable<string>): void;
  /** How many are connected and have said who they are: whose death would be noticed. */
  watched(): number;
  /** How long this peer has been known to be silent, ms; undefined: it is not, or is not followed. */
  silentForMs(peer: string): number | undefined;
  close(): void;
}

export interface PeerWatchParts {
  /** A peer that was heard of last so long ago, and does not answer a new connection, is dead, ms. */
  silenceMs: number;
  /** Who is not followed any more is watched for so long still, ms; default 0. */
  lingerMs?: number;
  /** Puts a dead member out of the group. */
  evict(memberId: string): Promise<void>;
  /** A peer leaves, or has been put out: a rebalance begins. */
  onGone?(): void;
  /** A peer is taken for dead: what is under way with it will not come to an end. */
  onDead?(peer: string, memberId: string): void;
  /**
   * A peer is silent. Where this is given, silence is no reason to put a peer out: it may be the way from here to there
   * that is gone, and whoever is not of the group can do without the peer.
   */
  onSilent?(peer: string): void;
  log: Logger;
}

const mostEvictPauseMs = 3_200;

/** Keeps a connection to each peer, and has a peer put out of the group as soon as it is proved to be dead. */
export function watchPeers(parts: PeerWatchParts): PeerWatch {
  const { silenceMs, lingerMs = 0, evict, onGone, onDead, onSilent, log } = parts;
  const peers = new Map<string, Peer>();
  const wantedAt = new Map<string, number>();
  const closing = new AbortController();
  /** By incarnation. */
  const evictions = new Map<string, Eviction>();
  const events = { ended, silent, heard, left: () => onGone?.() };
  return {
    follow(addresses) {
      if (closing.signal.aborted) return;
      const nowMs = performance.now();
      for (const address of addresses) {
        wantedAt.set(address, nowMs);
        if (!peers.has(address)) peers.set(address, new Peer(address, silenceMs, events));
      }
      for (const [address, peer] of peers) {
        const lastMs = wantedAt.get(address) ?? 0;
        if (lastMs === nowMs || nowMs - lastMs < lingerMs) continue;
        peer.close();
        peers.delete(address);
        wantedAt.delete(address);
      }
    },
    watched: () => [...peers.values()].filter(({ said }) => said !== undefined).length,
    silentForMs: peer => peers.get(peer)?.silentForMs,
    close() {
      closing.abort();
      for (const peer of peers.values()) peer.close();
      peers.clear();
    },
  };

  function silent(address: string): void {
    if (onSilent === undefined) return;
    log.warn({ event: 'peer_silent', peer: address }, 'a peer does not answer: it cannot be reached from here');
    onSilent(address);
  }

  function heard(address: string): void {
    if (onSilent !== undefined) log.info({ event: 'peer_back', peer: address }, 'a peer answers again');
  }

  function ended(address: string, end: PeerEnd): void {
    if (end.again.kind === 'silent' && onSilent !== undefined) return;
    const dead = deadMember(end, silenceMs);
    if (dead === undefined) return;
    const { memberId, incarnation } = dead;
    const eviction = nextEviction(evictions.get(incarnation), Date.now());
    if (eviction === undefined) {
      log.warn(
        { event: 'peer_eviction_withheld', peer: address, memberId },
        'a peer is dead again so soon: left to the session time-out',
      );
      return;
    }
    if (evictions.size > 10_000) evictions.clear();
    evictions.set(incarnation, eviction);
    log.warn(
      { event: 'peer_dead', peer: address, memberId, again: end.again.kind },
      'a peer is dead: putting it out of the group',
    );
    void putOut(memberId);
    onDead?.(address, memberId);
  }

  /** Never rejects. Kafka may be busy with the same death: tries for as long as a session might still last. */
  async function putOut(memberId: string): Promise<void> {
    for (let pauseMs = 100; pauseMs <= mostEvictPauseMs && !closing.signal.aborted; pauseMs *= 2) {
      try {
        await evict(memberId);
        return onGone?.();
      } catch (error) {
        log.warn({ event: 'peer_eviction_failed', error, memberId }, 'a dead peer cannot be put out of the group yet');
        await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }
}
