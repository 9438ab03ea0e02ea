import { connect, type Socket } from 'node:net';
import { peerAnswer } from './peer-port.ts';
import type { PeerEnd, PeerIdentity } from './peer-verdict.ts';

/** What becomes of a peer, as its connections tell. */
export interface PeerEvents {
  /** A connection on which it spoke has ended, and this is what came after it. */
  ended(address: string, end: PeerEnd): void;
  /** It says that it leaves. */
  left(): void;
  /** Nothing was heard of it for long, and a new connection is not answered: its process, its host or the way to it is gone. */
  silent(address: string): void;
  /** It was silent, and is heard again. */
  heard(address: string): void;
}

const retryMs = 1_000;
/** While it is open whether a peer is dead, the next attempt follows after this, then after twice as long, up to `retryMs`. */
const firstRetryMs = 20;
const longestLine = 1_024;
const incarnationMark = 'incarnation ';

/** A connection to one peer, and another after it. */
export class Peer {
  readonly #address: string;
  readonly #silenceMs: number;
  readonly #events: PeerEvents;
  #socket: Socket | undefined;
  #timer: NodeJS.Timeout | undefined;
  /** What the last connection on which it spoke had said, until an attempt has shown what became of it. */
  #before: Pick<PeerEnd, 'said' | 'leaving'> | undefined;
  #pauseMs = firstRetryMs;
  #closed = false;
  /** When it was heard last, ms of this process. */
  #heardMs = performance.now();
  /** When it was found to be silent, ms of this process; undefined: it is not. */
  #silentSinceMs: number | undefined;
  /** What the present connection has said. */
  said: PeerIdentity | undefined;

  constructor(address: string, silenceMs: number, events: PeerEvents) {
    this.#address = address;
    this.#silenceMs = silenceMs;
    this.#events = events;
    this.#connect();
  }

  /** How long it has been known to be silent, ms; undefined: it is not. */
  get silentForMs(): number | undefined {
    return this.#silentSinceMs === undefined ? undefined : performance.now() - this.#silentSinceMs;
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
    let incarnation: string | undefined;
    let text = '';
    let deadline = this.#destroyAfter(socket, Math.min(retryMs, this.#silenceMs / 2));
    socket.setEncoding('utf8');
    socket.setKeepAlive(true, 1_000);
    socket.on('data', (chunk: string) => {
      this.#heardMs = performance.now();
      if (this.#silentSinceMs !== undefined) {
        this.#silentSinceMs = undefined;
        this.#events.heard(this.#address);
      }
      const lines = (text + chunk).split('\n');
      text = (lines.pop() ?? '').slice(0, longestLine);
      for (const line of lines) {
        if (line === 'bye') {
          leaving = true;
          this.#events.left();
        } else if (line.startsWith(incarnationMark)) {
          incarnation = line.slice(incarnationMark.length);
          socket.write(`${peerAnswer}\n`);
        } else if (line !== '.' && line !== '') {
          // Who does not tell it is taken for the same process each time: rather put out too seldom.
          incarnation ??= this.#address;
          this.said = { memberId: line, incarnation };
        }
      }
      if (incarnation !== undefined) this.#judge({ kind: 'connected', incarnation });
      clearTimeout(deadline);
      deadline = this.#destroyAfter(socket, this.#silenceMs);
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      refused = error.code === 'ECONNREFUSED';
    });
    socket.on('close', () => {
      clearTimeout(deadline);
      if (!this.#closed) this.#after({ said: this.said, leaving, refused });
    });
  }

  #after({ said, leaving, refused }: { said: PeerIdentity | undefined; leaving: boolean; refused: boolean }): void {
    this.said = undefined;
    let pauseMs = retryMs;
    if (said !== undefined) {
      this.#before = { said, leaving };
      this.#pauseMs = firstRetryMs;
      pauseMs = 0;
    } else if (refused) this.#judge({ kind: 'refused' });
    else {
      // A dying process may take one more connection before its port goes; a short silence proves nothing. Look again.
      const nowMs = performance.now();
      const forMs = nowMs - this.#heardMs;
      if (this.#before !== undefined) {
        pauseMs = this.#pauseMs;
        this.#pauseMs = Math.min(retryMs, this.#pauseMs * 2);
      }
      if (forMs >= this.#silenceMs) {
        if (this.#silentSinceMs === undefined) {
          this.#silentSinceMs = nowMs;
          this.#events.silent(this.#address);
        }
        this.#judge({ kind: 'silent', forMs });
      }
    }
    this.#timer = setTimeout(() => this.#connect(), pauseMs);
  }

  /** Not before what has come meanwhile is read: it may be this process that stood still. */
  #destroyAfter(socket: Socket, ms: number): NodeJS.Timeout {
    const setAtMs = performance.now();
    return setTimeout(() => {
      setImmediate(() => {
        if (this.#heardMs <= setAtMs) socket.destroy();
      });
    }, ms);
  }

  #judge(again: PeerEnd['again']): void {
    const before = this.#before;
    this.#before = undefined;
    if (before !== undefined) this.#events.ended(this.#address, { ...before, again });
  }
}
