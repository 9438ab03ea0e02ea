/** Text of a GraphQL document, or an object whose `toString()` is one, such as code generators make (`TypedDocumentString`). */
export type Document<Data, Variables> =
  | string
  | { toString(): string; readonly __apiType?: ((variables: Variables) => Data) | undefined };

export type Status = 'idle' | 'connecting' | 'replaying' | 'live' | 'offline' | 'needs-auth' | 'closed';

export interface State {
  readonly status: Status;
  /** Why the last connection has ended, or could not be made. */
  readonly reason?: string | undefined;
  /** Time of the next attempt to connect, in milliseconds since 1970. */
  readonly retryAtMs?: number;
}

/** Counts since a client was created. */
export interface Counters {
  /** Events that were handed to a consumer, and how many of them were replayed. */
  delivered: number;
  replayed: number;
  /** Connections that were made after one had been lost. */
  reconnects: number;
  /** Connections that were made before the one in use was left, because the gateway asked for it. */
  moves: number;
  /** Positions that the log does not have any more. */
  gaps: number;
}

export interface GraphqlError {
  readonly message: string;
  readonly path?: readonly (string | number)[];
  readonly extensions?: Readonly<Record<string, unknown>>;
}

export interface Result<Data> {
  readonly data: Data;
  readonly errors?: readonly GraphqlError[];
}

export interface Event<Data> extends Result<Data> {
  /** The position behind this event. */
  readonly cursor: string | undefined;
  /** The event's record was appended before the subscription came. */
  readonly replayed: boolean;
  /** True for the first event behind a gap. */
  readonly gap?: true;
}

/** The events of a subscription, for one consumer. */
export interface Subscription<Data> extends AsyncIterableIterator<Event<Data>, undefined> {
  /** The position behind what the consumer has dealt with: what storage keeps. Undefined before the first event or ping. */
  readonly cursor: string | undefined;
  return(): Promise<IteratorResult<Event<Data>, undefined>>;
}

export interface Snapshot<Data> {
  readonly data: Data;
  readonly cursor: string;
}

export type LiveItem<Data, EventData> =
  | { readonly snapshot: Snapshot<Data>; readonly event?: undefined }
  | { readonly event: Event<EventData>; readonly snapshot?: undefined };

/** A position that the log does not have any more. */
export interface Gap {
  readonly query: string;
  readonly variables: object | undefined;
  /** A cursor to go on from. */
  readonly earliest: string;
}

/**
 * `refetch`: `live()` yields a new snapshot; `subscribe()`, which has none, goes on as by `continue`. `continue`: goes on at the
 * earliest position. `throw`: ends the iteration with the error.
 */
export type GapAnswer = 'refetch' | 'continue' | 'throw';

/** Keeps cursors and the ids of commands. `localStorage` fits. */
export interface ClientStorage {
  getItem(key: string): string | null | undefined | Promise<string | null | undefined>;
  setItem(key: string, value: string): void | Promise<void>;
  removeItem(key: string): void | Promise<void>;
}

export interface ClientOptions {
  /** Address of the router, as `https://bank.example`. */
  url: string;
  /**
   * Returns the access token. It is called before each connection, one call at a time. {@link UnauthorizedError} is final; after
   * any other error it is called again.
   */
  getToken(): string | Promise<string>;
  /** Default: the memory of this client. */
  storage?: ClientStorage;
  /** Default: `refetch`. */
  onGap?(gap: Gap): GapAnswer | Promise<GapAnswer>;
  /** Constructor of WebSockets, where there is no global one (Node.js 20). Without any, events come over SSE. */
  webSocket?: unknown;
}

export interface SubscribeOptions<Data, Variables> {
  query: Document<Data, Variables>;
  variables?: Variables;
  /** The beginning where there is no cursor: `now` (default), `earliest`, or an ISO time with an offset. */
  from?: string;
  /** The subscription begins behind the event, or the query, that carried this cursor. It goes before a stored one. */
  cursor?: string;
  /** The name under which storage keeps the cursor. Default: it is not kept. */
  key?: string;
}

export interface QueryOptions<Data, Variables> {
  query: Document<Data, Variables>;
  variables?: Variables;
}

export interface CommandOptions<Data, Variables> extends QueryOptions<Data, Variables> {
  /** A UUID. Default: one that is kept in storage until the verdict. */
  commandId?: string;
}

export interface LiveOptions<Data, Variables, EventData, EventVariables> extends QueryOptions<Data, Variables> {
  subscription: Document<EventData, EventVariables>;
  /** Default: those of the query. */
  subscriptionVariables?: EventVariables;
}

type Fields = Record<string, unknown>;

export interface Client {
  readonly state: State;
  readonly counters: Readonly<Counters>;
  /** Calls the listener after each change of `state`, until the returned function is called. */
  onState(listener: (state: State) => void): () => void;
  /**
   * Subscribes at once. Iterate over the events once; `break` or `return()` ends the subscription. The position is stored only when
   * the consumer asks for the event after the next, which means that it has dealt with the last one.
   */
  subscribe<Data = Fields, Variables extends object = Fields>(
    options: SubscribeOptions<Data, Variables>,
  ): Subscription<Data>;
  /** Runs a query. Where the servers cannot answer for a while, it is sent again for 30 s. */
  query<Data = Fields, Variables extends object = Fields>(
    options: QueryOptions<Data, Variables>,
  ): Promise<Result<Data> & { cursor?: string }>;
  /** Sends a command until it has its final feedback. */
  command<Data = Fields, Variables extends object = Fields>(
    options: CommandOptions<Data, Variables>,
  ): Promise<Result<Data>>;
  /** Yields the query's result, then every event behind exactly that state. */
  live<Data = Fields, Variables extends object = Fields, EventData = Fields, EventVariables extends object = Variables>(
    options: LiveOptions<Data, Variables, EventData, EventVariables>,
  ): AsyncIterableIterator<LiveItem<Data, EventData>>;
  /** Ends all iterations, and rejects commands that have no verdict yet. */
  close(): void;
}
