import type { ConnectionError } from './errors.ts';
import type { GraphqlError } from './types.ts';

/** One result as it comes over the wire. */
export interface WireResult {
  data?: unknown;
  errors?: readonly GraphqlError[];
  extensions?: { cursor?: string; replayed?: boolean };
}

export interface Payload {
  query: string;
  variables?: object | undefined;
  extensions?: { cursor?: string; from?: string };
}

/** Told what happens to one subscription. Nothing comes after `error` or `complete`, nor when it has been stopped. */
export interface Sink {
  next(result: WireResult): void;
  /** The position has moved. `live`: all events from before the subscription have come. */
  ping(cursor: string | undefined, live: boolean): void;
  error(errors: readonly GraphqlError[]): void;
  complete(): void;
}

/** One connection to a gateway; it never comes back. */
export interface Line {
  readonly isSse?: true;
  /** Resolves when the connection is over. */
  readonly closed: Promise<ConnectionError>;
  /** Begins a subscription; the returned function stops it. */
  subscribe(id: string, payload: Payload, sink: Sink): () => void;
  close(reason?: string): void;
}

export interface LineWatch {
  /** The WebSocket is open, whatever comes of it. */
  opened(): void;
  /** The gateway has let us in. */
  letIn(): void;
  /** A subscription is being served. */
  served(): void;
  /** The gateway wants us to connect elsewhere. */
  moveAsked(): void;
}
