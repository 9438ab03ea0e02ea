import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Caller, RouteClaims } from '../../../lib/auth/types.ts';
import { closeCodes } from '../../../lib/errors.ts';
import { openAfterEvent } from '../after-event.ts';
import type { EventSink, Flow } from '../flow.ts';
import { openOutlet } from '../outlet.ts';
import { extensionsMember } from '../streams/extensions.ts';

export interface ConnectionOptions {
  socket: WebSocket;
  /** The stream under the WebSocket. */
  wire: Duplex;
  route: RouteClaims | undefined;
  traceparent: string;
  bufferBytes: number;
  slowTimeoutMs: number;
  pingIntervalMs: number;
  onSlow(): void;
}

/** A client that answers none of this many pings in a row is gone. */
const unansweredPings = 3;

/** A subscription, and what pings have told the client of it. */
interface Followed {
  readonly flow: Flow;
  isPinged: boolean;
  isToldLive: boolean;
}

/** One WebSocket: its frames, its pings, and the subscriptions under way on it. */
export interface Connection {
  readonly route: RouteClaims | undefined;
  readonly traceparent: string;
  /** Set by a `connection_init` whose token holds. */
  caller: Caller | undefined;
  /** What is under way: an operation is in it until its work has ended, which may be after the client's `complete`. */
  readonly operations: Set<object>;
  send(frame: string): void;
  close(code: number, reason: string): void;
  /** As {@link Client.afterEvent}, for an event of any operation. */
  afterEvent(withinMs: number, run: () => void): void;
  /** A ping that tells the client to connect elsewhere while it is served here. */
  announceMove(): void;
  sinkOf(operationId: string): EventSink;
  /** From now on pings carry the flow's cursor; the first one leaves at once. */
  follow(operationId: string, flow: Flow): void;
  /** Unless another operation has the id by now. */
  unfollow(operationId: string, flow: Flow): void;
  /** The socket has closed: no more pings. */
  ended(): void;
}

export function openConnection(options: ConnectionOptions): Connection {
  const { socket, wire, pingIntervalMs } = options;
  const flows = new Map<string, Followed>();
  const events = openAfterEvent();
  let bytesHeard = 0;
  let unanswered = 0;
  const outlet = openOutlet(wire, {
    bufferBytes: options.bufferBytes,
    slowTimeoutMs: options.slowTimeoutMs,
    onSlow() {
      options.onSlow();
      close(closeCodes.tryAgainLater, 'too slow: resume by cursor');
    },
  });
  const pings = setInterval(ping, pingIntervalMs);

  const connection: Connection = {
    route: options.route,
    traceparent: options.traceparent,
    caller: undefined,
    operations: new Set(),
    send,
    close,
    afterEvent: events.run,
    announceMove: () => send(pingFrame(flows, true)),
    sinkOf(operationId) {
      const head = `{"id":${JSON.stringify(operationId)},"type":"next","payload":{`;
      return {
        next(members, cursor, replayed) {
          send(`${head}${members}${extensionsMember(cursor, replayed)}}}`);
          events.delivered();
        },
        room: outlet.room,
      };
    },
    follow(operationId, flow) {
      const followed: Followed = { flow, isPinged: false, isToldLive: false };
      flows.set(operationId, followed);
      const { replay } = flow;
      if (replay === undefined) return;
      const pingIt = () => {
        if (flows.get(operationId) === followed) send(pingFrame(new Map([[operationId, followed]])));
      };
      void replay.known.then(() => followed.isPinged || pingIt());
      void replay.over.then(() => followed.isToldLive || pingIt());
    },
    unfollow(operationId, flow) {
      if (flows.get(operationId)?.flow === flow) flows.delete(operationId);
    },
    ended: () => clearInterval(pings),
  };
  return connection;

  function send(frame: string): void {
    if (socket.readyState !== socket.OPEN) return;
    outlet.gather(frame.length);
    socket.send(frame);
  }

  function close(code: number, reason: string): void {
    socket.close(code, reason);
  }

  /** The protocol's ping for the client, WebSocket's own to learn whether there still is one. */
  function ping(): void {
    if (isDead()) {
      socket.terminate();
      return;
    }
    socket.ping();
    send(pingFrame(flows));
  }

  /** Not a byte for several pings, although nothing that we sent could have held up their pongs. */
  function isDead(): boolean {
    const heard = 'bytesRead' in wire && typeof wire.bytesRead === 'number' ? wire.bytesRead : undefined;
    unanswered = heard === bytesHeard && wire.writableLength === 0 ? unanswered + 1 : 0;
    bytesHeard = heard ?? bytesHeard;
    return unanswered >= unansweredPings;
  }
}

/** Cursors by operation, and the operations that have come to the end of their replay since the ping before. */
function pingFrame(flows: ReadonlyMap<string, Followed>, move = false): string {
  const cursors: Record<string, string> = {};
  const live: string[] = [];
  for (const [operationId, followed] of flows) {
    const cursor = followed.flow.cursor();
    if (cursor === undefined) continue;
    cursors[operationId] = cursor;
    followed.isPinged = true;
    if (followed.isToldLive || followed.flow.replay?.isOver() !== true) continue;
    followed.isToldLive = true;
    live.push(operationId);
  }
  const payload = { cursors, ...(live.length > 0 && { live }), ...(move && { move }) };
  return JSON.stringify({ type: 'ping', payload });
}
