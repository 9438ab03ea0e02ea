import { createClient, OperationError } from '@penstock/client';
import type { ExecutionResult, SubscribePayload } from 'graphql-ws';
import { WebSocket } from 'ws';
import { logIn } from './log-in.ts';

/** A user of the stack with a client: that of the product (`openUser`), or a stock one (`openStockUser`). */
export interface User {
  name: string;
  /** POST over HTTP. */
  post(query: string, variables?: Record<string, unknown>, extensions?: Record<string, unknown>): Promise<Answer>;
  /** A mutation whose document has a variable for its command's id; it is sent until it has its verdict. */
  mutate(query: string, variables?: Record<string, unknown>): Promise<ExecutionResult>;
  subscribe(payload: SubscribePayload, listener: StreamListener): Stream;
  accessToken(): string;
  connections(): number;
  /** Stops reading the connection that is open now; returns what makes it read again. */
  stopReading(): () => void;
  close(): Promise<void>;
}

export interface Answer {
  status: number;
  /** Empty where the answer has none. */
  data: Record<string, unknown>;
  errors?: { message: string; extensions?: Record<string, unknown> }[];
  extensions?: Record<string, unknown>;
}

export interface StreamListener {
  next(result: ExecutionResult): void;
  error?(error: unknown): void;
  complete?(): void;
}

export interface Stream {
  /** Behind the newest event or ping that was taken. */
  cursor(): string | undefined;
  stop(): void;
}

export interface ConnectionWatch {
  connected(): void;
  closed(code: number, reason: string): void;
}

export interface UserOptions {
  /** Of an earlier login; default: logs in. */
  accessToken?: string;
  /** Told when a connection has begun, and when it has ended and how. */
  watch?: ConnectionWatch;
}

/** Logs in; connects with the first subscription, by the product's own client. */
export async function openUser(url: string, name: string, { accessToken, watch }: UserOptions = {}): Promise<User> {
  let token = accessToken ?? (await logIn(url, name));
  let connections = 0;
  let newest: WebSocket | undefined;
  class WatchedSocket extends WebSocket {
    constructor(address: string, protocol: string) {
      super(address, protocol);
      newest = this;
      this.once('open', () => {
        connections++;
        watch?.connected();
      });
      this.once('close', (code, reason) => watch?.closed(code, String(reason)));
    }
  }
  const client = createClient({
    url,
    webSocket: WatchedSocket,
    async getToken() {
      // A login costs the router much; the token of the last one is good until a server says that it is not.
      if (/expired/.test(client.state.reason ?? '')) token = await logIn(url, name);
      return token;
    },
    onGap: () => 'throw',
  });
  return {
    name,
    accessToken: () => token,
    connections: () => connections,
    post: poster(url, {
      accessToken: () => token,
      async logIn() {
        token = await logIn(url, name);
      },
    }),
    mutate: async (query, variables = {}) => (await client.command({ query, variables })) as unknown as ExecutionResult,
    subscribe({ query, variables, extensions = {} }, listener) {
      const { cursor, from } = extensions as { cursor?: string; from?: string };
      const events = client.subscribe({
        query,
        ...(variables && { variables }),
        ...(cursor && { cursor }),
        ...(from && { from }),
      });
      void follow();
      return { cursor: () => events.cursor, stop: () => void events.return() };

      async function follow(): Promise<void> {
        try {
          for await (const { data, errors, cursor, replayed } of events) {
            const extensions = { cursor, ...(replayed && { replayed }) };
            listener.next({ data, ...(errors && { errors }), extensions } as unknown as ExecutionResult);
          }
          listener.complete?.();
        } catch (error) {
          listener.error?.(error instanceof OperationError ? error.errors : error);
        }
      }
    },
    stopReading() {
      const stopped = newest;
      stopped?.pause();
      return () => stopped?.resume();
    },
    async close() {
      client.close();
    },
  };
}

/** `post` of a user: once more with a fresh token where the last one has expired. */
export function poster(url: string, session: { accessToken(): string; logIn(): Promise<void> }): User['post'] {
  return async (query, variables, extensions) => {
    const ask = () =>
      fetch(`${url}/graphql`, {
        method: 'POST',
        headers: { 'content-type': 'application/json', authorization: `Bearer ${session.accessToken()}` },
        body: JSON.stringify({ query, variables, extensions }),
      });
    let response = await ask();
    if (response.status === 401) {
      await session.logIn();
      response = await ask();
    }
    const body = (await response.json()) as Partial<Answer>;
    return { ...body, status: response.status, data: body.data ?? {} };
  };
}
