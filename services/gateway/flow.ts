/** Where a subscription's events go: one operation on a WebSocket, or one SSE response. */
export interface EventSink {
  /**
   * Queues one `next`. `members` are the JSON members of its result without the braces (`"data":{…}`), shared by all
   * who get the same; `cursor` becomes its `extensions.cursor`.
   */
  next(members: string, cursor: string | undefined): void;
  /** Undefined while there is room for more; else resolves when there is again, or when the client has gone. */
  room(): Promise<void> | undefined;
}

/** A subscription that has begun. */
export interface Flow {
  /** For a ping: everything up to here has been queued. Undefined where the field has no cursor. */
  cursor(): string | undefined;
  /** Hands events to the sink until the subscription is complete or closed; rejects with the error that ends it. */
  run(sink: EventSink): Promise<void>;
  /** Ends `run` soon; more than once does no harm. */
  close(): void;
}
