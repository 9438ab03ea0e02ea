import type { EventSink, Flow } from '../flow.ts';

/** How a subscription runs inside graphql-ws's server core. */
export type RunningFlow = AsyncGenerator<never, undefined, undefined>;

export interface RunningFlowOptions {
  /** Rejects with what refuses the subscription: it becomes the protocol's `error` message. */
  open(): Promise<Flow>;
  sink: EventSink;
  /** The flow has begun: it can be pinged for. */
  begun(flow: Flow): void;
  /** `flow`: what has begun, if it did. */
  ended(flow: Flow | undefined): void;
  /** It could not begin, or has broken off; what is thrown becomes the protocol's `error` message if the socket is open. */
  failed(error: unknown): void;
}

/**
 * graphql-ws hands each event of an iterator through several promises and a `JSON.stringify` of its own. So here the
 * iterator yields nothing: the flow writes its frames itself, and what graphql-ws sees is only the end, or the error.
 */
export function runningFlow({ open, sink, begun, ended, failed }: RunningFlowOptions): RunningFlow {
  let flow: Flow | undefined;
  let closed = false;
  let running: Promise<void> | undefined;
  let release: () => void = () => {};
  // A client's `complete` ends the iterator at once, however long the flow takes to end.
  const released = new Promise<void>(resolve => {
    release = resolve;
  });
  const quietSink: EventSink = {
    next(members, cursor) {
      if (!closed) sink.next(members, cursor);
    },
    room: () => sink.room(),
  };

  return {
    async next() {
      running ??= Promise.race([run(), released]);
      await running;
      return { done: true, value: undefined };
    },
    async return() {
      close();
      return { done: true, value: undefined };
    },
    async throw() {
      close();
      return { done: true, value: undefined };
    },
    [Symbol.asyncIterator]() {
      return this;
    },
    async [Symbol.asyncDispose]() {
      close();
    },
  };

  async function run(): Promise<void> {
    try {
      const opened = await open();
      if (closed) return opened.close();
      flow = opened;
      begun(opened);
      await opened.run(quietSink);
    } catch (error) {
      if (!closed) failed(error);
      throw error;
    } finally {
      ended(flow);
    }
  }

  function close(): void {
    if (closed) return;
    closed = true;
    flow?.close();
    release();
  }
}
