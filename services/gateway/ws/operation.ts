import type { EventSink, Flow } from '../flow.ts';

/**
 * How an operation runs inside graphql-ws's server core, which ends the iterator at the client's `complete` and with the socket; what
 * is no iterator it lets run on, and answers whoever has the id by then.
 */
export type RunningOperation<Result> = AsyncGenerator<Result, undefined, undefined>;

interface Work<Result> {
  /** Resolves, with the result if there is one, when nothing of it runs any more; so does a rejection. */
  run(): Promise<Result | undefined>;
  /** The client wants no more of it. */
  cancel(): void;
  /** Called once, when nothing of it runs any more: a client's `complete` may be long over by then. */
  ended(): void;
}

function running<Result>({ run, cancel, ended }: Work<Result>): RunningOperation<Result> {
  let work: Promise<Result | undefined> | undefined;
  let closed = false;
  // A client's `complete` ends the iterator at once, however long the work takes to end.
  const released = Promise.withResolvers<undefined>();
  return {
    async next() {
      if (work !== undefined || closed) return { done: true, value: undefined };
      work = run().finally(ended);
      const result = await Promise.race([work, released.promise]);
      return result === undefined ? { done: true, value: undefined } : { done: false, value: result };
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

  function close(): void {
    if (closed) return;
    closed = true;
    cancel();
    released.resolve(undefined);
    if (work === undefined) ended();
  }
}

/** A query or mutation: one result. */
export function runningAnswer<Result>(work: Work<Result>): RunningOperation<Result> {
  return running(work);
}

export interface RunningFlowOptions extends Pick<Work<never>, 'cancel' | 'ended'> {
  /** Rejects with what refuses the subscription: it becomes the protocol's `error` message. */
  open(): Promise<Flow>;
  sink: EventSink;
  /** The flow has begun: it can be pinged for. */
  begun(flow: Flow): void;
  /** A flow that had begun has ended. */
  over(flow: Flow): void;
  /** It could not begin, or has broken off; what is thrown becomes the protocol's `error` message if the socket is open. */
  failed(error: unknown): void;
}

/**
 * graphql-ws hands each event of an iterator through several promises and a `JSON.stringify` of its own. So here the
 * iterator yields nothing: the flow writes its frames itself, and what graphql-ws sees is only the end, or the error.
 */
export function runningFlow(options: RunningFlowOptions): RunningOperation<never> {
  const { open, sink, begun, over, failed, cancel, ended } = options;
  let flow: Flow | undefined;
  let closed = false;
  const quietSink: EventSink = {
    next(members, cursor, replayed) {
      if (!closed) sink.next(members, cursor, replayed);
    },
    room: () => sink.room(),
  };
  return running<never>({
    async run() {
      try {
        const opened = await open();
        if (closed) {
          opened.close();
          return undefined;
        }
        flow = opened;
        begun(opened);
        await opened.run(quietSink);
      } catch (error) {
        if (!closed) failed(error);
        throw error;
      } finally {
        if (flow !== undefined) over(flow);
      }
      return undefined;
    },
    cancel() {
      closed = true;
      cancel();
      flow?.close();
    },
    ended,
  });
}
