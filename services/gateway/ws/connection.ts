import type { Duplex } from 'node:stream';
import type { WebSocket } from 'ws';
import type { Caller, RouteClaims } from '../../../lib/auth/types.ts';
import { closeCodes } from '../../../lib/errors.ts';
import { openAfterEvent } from '../after-event.ts';
import type { EventSink, Flow } from '../flow.ts';
import { openOutlet } from '../outlet.ts';

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
  const flows = new Map<string, Flow>();
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
    announceMove: () => send(pingFrame({ cursors: cursors(), move: true })),
    sinkOf(operationId) {
      const head = `{"id":${JSON.stringify(operationId)},"type":"next","payload":{`;
      return {
        next(members, cursor) {
          const extensions = cursor === undefined ? '' : `,"extensions":{"cursor":${JSON.stringify(cursor)}}`;
          send(`${head}${members}${extensions}}}`);
          events.delivered();
        },
        room: outlet.room,
      };
    },
    follow(operationId, flow) {
      flows.set(operationId, flow);
      const cursor = flow.cursor();
      if (cursor !== undefined) send(pingFrame({ cursors: { [operationId]: cursor } }));
    },
    unfollow(operationId, flow) {
      if (flows.get(operationId) === flow) flows.delete(operationId);
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
    send(pingFrame({ cursors: cursors() }));
  }

  /** By operation. */
  function cursors(): Record<string, string> {
    const found: Record<string, string> = {};
    for (const [operationId, flow] of flows) {
      const cursor = flow.cursor();
      if (cursor !== undefined) found[operationId] = cursor;
    }
    return found;
  }

  /** Not a byte for several pings, although nothing that we sent could have held up their pongs. */
  function isDead(): boolean {
    const heard = 'bytesRead' in wire && typeof wire.bytesRead === 'number' ? wire.bytesRead : undefined;
    unanswered = heard === bytesHeard && wire.writableLength === 0 ? unanswered + 1 : 0;
    bytesHeard = heard ?? bytesHeard;
    return unanswered >= unansweredPings;
  }
}

function pingFrame(payload: { cursors: Readonly<Record<string, string>>; move?: true }): string {
  return JSON.stringify({ type: 'ping', payload });
}
