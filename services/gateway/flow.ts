/** Where a subscription's events go: one operation on a WebSocket, or one SSE response. */
export interface EventSink {
  /**
   * Queues one `next`. `members` are the JSON members of its result without the braces (`"data":{…}`), shared by all
   * who get the same; `cursor` becomes its `extensions.cursor`, `replayed` its `extensions.replayed`.
   */
  next(members: string, cursor: string | undefined, replayed?: boolean): void;
  /** Undefined while there is room for more; else resolves when there is again, or when the client has gone. */
  room(): Promise<void> | undefined;
}

/** How far a subscription has come with the records that were appended before it. */
export interface Replay {
  /** Resolves when the last of them is known, or when that takes too long for the first ping to wait for it. */
  readonly known: Promise<void>;
  /** Resolves when the last of them has been queued; never for a flow that is closed before. */
  readonly over: Promise<void>;
  isOver(): boolean;
}

/** A subscription that has begun. */
export interface Flow {
  /** For a ping: everything up to here has been queued. Undefined where the field has no cursor. */
  cursor(): string | undefined;
  /** Undefined where the field has no cursor. */
  readonly replay: Replay | undefined;
  /** Hands events to the sink until the subscription is complete or closed; rejects with the error that ends it. */
  run(sink: EventSink): Promise<void>;
  /** Ends `run` soon; more than once does no harm. */
  close(): void;
}
