import { connect, type Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '../ops/index.ts';
import { deadMember, type PeerEnd } from './peer-verdict.ts';

export interface PeerWatch {
  /** The peers there are now, host:port each; others are let go of. */
  follow(peers: Iterable<string>): void;
  /** How many are connected and have said who they are: whose death would be noticed. */
  watched(): number;
  close(): void;
}

export interface PeerWatchParts {
  /** Puts a dead member out of the group. */
  evict(memberId: string): Promise<void>;
  log: Logger;
}

const connectTimeoutMs = 1_000;
const retryMs = 1_000;
/** While it is open whether a peer is dead, the next attempt follows after this, then after twice as long, up to `retryMs`. */
const firstRetryMs = 20;
const mostEvictPauseMs = 3_200;
/** After an eviction at an address none there for this long, then twice as long: a one-way loss must not evict for ever. */
const firstPauseMs = 10_000;
const mostPauseMs = 600_000;
const longestLine = 1_024;

/** Keeps a connection to each peer, and has a peer put out of the group as soon as it is proved to be dead. */
export function watchPeers({ evict, log }: PeerWatchParts): PeerWatch {
  const peers = new Map<string, Peer>();
  const closing = new AbortController();
  const evictions = new Map<string, { until: number; pauseMs: number }>();
  return {
    follow(addresses) {
      const wanted = new Set(addresses);
      for (const [address, peer] of peers) {
        if (wanted.has(address)) continue;
        peer.close();
        peers.delete(address);
      }
      for (const address of wanted) if (!peers.has(address)) peers.set(address, new Peer(address, ended));
    },
    watched: () => [...peers.values()].filter(({ said }) => said !== undefined).length,
    close() {
      closing.abort();
      for (const peer of peers.values()) peer.close();
      peers.clear();
    },
  };

  function ended(address: string, end: PeerEnd): void {
    const memberId = deadMember(end);
    if (memberId === undefined) return;
    const last = evictions.get(address);
    if (last !== undefined && Date.now() < last.until) {
      log.warn({ peer: address, memberId }, 'a peer is dead again so soon: left to the session time-out');
      return;
    }
    const pauseMs = Math.min(mostPauseMs, last === undefined ? firstPauseMs : last.pauseMs * 2);
    if (evictions.size > 10_000) evictions.clear();
    evictions.set(address, { until: Date.now() + pauseMs, pauseMs });
    log.warn({ peer: address, memberId, again: end.again.kind }, 'a peer is dead: putting it out of the group');
    void putOut(memberId);
  }

  /** Never rejects. Kafka may be busy with the same death: tries for as long as a session might still last. */
  async function putOut(memberId: string): Promise<void> {
    for (let pauseMs = 100; pauseMs <= mostEvictPauseMs && !closing.signal.aborted; pauseMs *= 2) {
      try {
        await evict(memberId);
        return;
      } catch (error) {
        log.warn({ error, memberId }, 'a dead peer cannot be put out of the group yet');
        await sleep(pauseMs, undefined, { signal: closing.signal }).catch(() => undefined);
      }
    }
  }
}

/** A connection to one peer, and another after it. */
class Peer {
  readonly #address: string;
  readonly #ended: (address: string, end: PeerEnd) => void;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What the last connection on which it spoke had said, until an attempt has shown what became of it. */
  #before: Pick<PeerEnd, 'said' | 'leaving'> | undefined;
  #pauseMs = firstRetryMs;
  #closed = false;
  /** What the present connection has said. */
  said: string | undefined;

  constructor(address: string, ended: (address: string, end: PeerEnd) => void) {
    this.#address = address;
    this.#ended = ended;
    this.#connect();
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#socket?.destroy();
  }

  #connect(): void {
    if (this.#closed) return;
    const colon = this.#address.lastIndexOf(':');
    const socket = connect({ host: this.#address.slice(0, colon), port: Number(this.#address.slice(colon + 1)) });
    this.#socket = socket;
    this.said = undefined;
    let leaving = false;
    let refused = false;
    let text = '';
    const deadline = setTimeout(() => socket.destroy(), connectTimeoutMs);
    socket.setEncoding('utf8');
    socket.setKeepAlive(true, 1_000);
    socket.on('connect', () => clearTimeout(deadline));
    socket.on('data', (chunk: string) => {
      const lines = (text + chunk).split('\n');
      text = (lines.pop() ?? '').slice(0, longestLine);
      for (const line of lines) {
        if (line === 'bye') leaving = true;
        else this.said = line;
      }
      if (this.said !== undefined) this.#judge({ kind: 'connected', said: this.said });
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      refused = error.code === 'ECONNREFUSED';
    });
    socket.on('close', () => {
      clearTimeout(deadline);
      if (this.#closed) return;
      const { said } = this;
      this.said = undefined;
      let pauseMs = retryMs;
      if (said !== undefined) {
        this.#before = { said, leaving };
        this.#pauseMs = firstRetryMs;
        pauseMs = 0;
      } else if (refused) this.#judge({ kind: 'refused' });
      else if (this.#before !== undefined) {
        // A dying process may take one more connection before its port goes; silence proves nothing. Look again.
        pauseMs = this.#pauseMs;
        this.#pauseMs = Math.min(retryMs, this.#pauseMs * 2);
      }
      this.#timer = setTimeout(() => this.#connect(), pauseMs);
    });
  }

  #judge(again: PeerEnd['again']): void {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined) this.#ended(this.#address, { ...before, again });
  }
}
