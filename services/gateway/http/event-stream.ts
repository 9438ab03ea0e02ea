import type { ServerResponse } from 'node:http';
import type { FormattedExecutionResult } from 'graphql';
import { openAfterEvent } from '../after-event.ts';
import type { EventSink, Flow } from '../flow.ts';
import { openOutlet } from '../outlet.ts';
import { extensionsMember } from '../streams/extensions.ts';
import { completeEvent, nextEvent, pingEvent } from './sse-format.ts';

export interface EventStreamOptions {
  bufferBytes: number;
  slowTimeoutMs: number;
  pingIntervalMs: number;
  onSlow(): void;
}

/** A `text/event-stream` response. It begins with the first of its calls: until then another answer may be given instead. */
export interface EventStream {
  /** Runs a flow with pings until it is complete or the client has gone; rejects with what ends it otherwise. */
  follow(flow: Flow): Promise<void>;
  /** One `next`, then the end. */
  finish(result: FormattedExecutionResult): void;
  /** Ends the operation: the client will not come back for more. */
  complete(): void;
  /** Ends the response only: the client reconnects with its last event id. */
  breakOff(): void;
  /** As {@link Client.afterEvent}. */
  afterEvent(withinMs: number, run: () => void): void;
}

export function openEventStream(response: ServerResponse, options: EventStreamOptions): EventStream {
  // Not the response itself: what it holds back when it ends comes after the end (node:http, chunked encoding).
  const outlet = openOutlet(response.socket ?? response, {
    ...options,
    onSlow() {
      options.onSlow();
      response.destroy();
    },
  });
  const events = openAfterEvent();
  const sink: EventSink = {
    next(members, cursor, replayed) {
      write(nextEvent(`{${members}${extensionsMember(cursor, replayed)}}`, cursor));
      events.delivered();
    },
    room: outlet.room,
  };
  return {
    async follow(flow) {
      begin();
      const { replay } = flow;
      let isOver = false;
      let isToldLive = false;
      let hasBegun = false;
      const ping = () => {
        if (isOver) return;
        const live = !isToldLive && replay?.isOver() === true;
        if (live) isToldLive = true;
        hasBegun = true;
        write(pingEvent(flow.cursor(), live));
      };
      const pings = setInterval(ping, options.pingIntervalMs);
      const gone = () => flow.close();
      response.once('close', gone);
      if (response.destroyed) gone();
      if (replay === undefined) ping();
      else {
        void replay.known.then(() => hasBegun || ping());
        void replay.over.then(() => isToldLive || ping());
      }
      try {
        await flow.run(sink);
      } finally {
        isOver = true;
        clearInterval(pings);
        response.off('close', gone);
      }
    },
    finish(result) {
      begin();
      const cursor = result.extensions?.cursor;
      write(nextEvent(JSON.stringify(result), typeof cursor === 'string' ? cursor : undefined));
      response.end(completeEvent);
    },
    complete() {
      begin();
      if (!response.writableEnded) response.end(completeEvent);
    },
    breakOff() {
      begin();
      response.end();
    },
    afterEvent: events.run,
  };

  function begin(): void {
    if (response.headersSent || response.destroyed) return;
    response.writeHead(200, {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-cache, no-transform',
      // Proxies such as nginx buffer otherwise.
      'x-accel-buffering': 'no',
    });
    response.flushHeaders();
  }

  function write(event: string): void {
    if (response.writableEnded || response.destroyed) return;
    outlet.gather(event.length);
    response.write(event);
  }
}
