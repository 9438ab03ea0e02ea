import { randomUUID } from 'node:crypto';
import type { ExecutionResult, SubscribePayload } from 'graphql-ws';
import { type ConnectionWatch, type Line, openLine, openSession } from './client-line.ts';

export { logIn } from './client-line.ts';

/**
 * A tiny reference client: stock graphql-ws, plus the three habits that make it lossless — ask the router where to go
 * at each connect, keep the newest cursor of every subscription, send it with the next subscribe — and one that makes it
 * smooth: told to move, it connects to its next gateway while it is served by the last one.
 */
export interface User {
  name: string;
  /** POST over HTTP. */
  post(query: string, variables?: Record<string, unknown>, extensions?: Record<string, unknown>): Promise<Answer>;
  /** A mutation over the WebSocket; the stock client sends it again under the same id after a reconnect. */
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
  /** Newest cursor seen, from an event or a ping. */
  cursor(): string | undefined;
  stop(): void;
}

/** `always` is right. `never` is the usual client, which forgets its cursors, `stale` one that keeps an old one: mutants. */
export type Resume = 'always' | 'never' | 'stale';

export interface UserOptions {
  resume?: Resume;
  /** Of an earlier login; default: logs in. */
  accessToken?: string;
  /** Default; else it is a stock client, which moves when it is closed. */
  moves?: boolean;
  /** Told when a connection has begun, and when it has ended and how. */
  watch?: ConnectionWatch;
}

/** A subscription, wherever it is served. */
interface Subscription {
  cursor: string | undefined;
  readonly payload: Pick<SubscribePayload, 'query'> & { extensions?: SubscribePayload['extensions'] };
  readonly listener: StreamListener;
  /** Takes it off the line that it is on, without a word to the listener. */
  leave(): void;
}

/** Logs in and connects lazily. */
export async function openUser(
  url: string,
  name: string,
  { resume = 'always', accessToken: given, moves = true, watch }: UserOptions = {},
): Promise<User> {
  const session = await openSession(url, name, given);
  const ids = new Map<object, string>();
  const streams = new Map<string, Subscription>();
  /** Those that answer mutations yet, and where everything is now. */
  const lines = new Set<Line>();
  /** Mutations under way. */
  const asked = new WeakMap<Line, number>();
  let connections = 0;
  let closed = false;
  /** A line to the next gateway, which has not let us in yet. */
  let next: Line | undefined;
  let current = open(false);

  function open(eager: boolean): Line {
    const line: Line = openLine({
      ...{ url, session, eager, moves, idOf: payload => ids.get(payload) ?? randomUUID() },
      watch: {
        connected() {
          connections++;
          watch?.connected();
          if (line === next) settle(line);
        },
        closed: (code, reason) => watch?.closed(code, reason),
      },
      pinged({ cursors, move }) {
        // One that comes from the line of before may be ahead of what was taken from it.
        if (line !== current) return;
        for (const [id, cursor] of Object.entries(cursors ?? {})) moved(id, cursor);
        if (move && !closed) next ??= open(true);
      },
      failed() {
        if (line === next) next = undefined;
        lines.delete(line);
      },
    });
    lines.add(line);
    return line;
  }

  /** The next gateway has let us in: every stream goes on there, behind what the last one has shown. */
  function settle(line: Line): void {
    const before = current;
    current = line;
    next = undefined;
    for (const stream of streams.values()) {
      stream.leave();
      begin(stream);
    }
    if (!asked.get(before)) drop(before);
  }

  function drop(line: Line): void {
    lines.delete(line);
    void line.close();
  }

  function begin(stream: Subscription): void {
    const id = ids.get(stream.payload) ?? '';
    let here = true;
    const ended = () => {
      if (!here) return false;
      here = false;
      return streams.delete(id);
    };
    const stop = current.client.subscribe(stream.payload, {
      next(value) {
        if (!here) return;
        const result = value as ExecutionResult;
        stream.listener.next(result);
        const cursor = result.extensions?.cursor;
        if (typeof cursor === 'string') moved(id, cursor);
      },
      error: error => void (ended() && stream.listener.error?.(error)),
      complete: () => void (ended() && stream.listener.complete?.()),
    });
    stream.leave = () => {
      here = false;
      stop();
    };
  }

  function moved(id: string, cursor: string): void {
    const stream = streams.get(id);
    if (stream === undefined) return;
    const isFirst = stream.cursor === undefined;
    stream.cursor = cursor;
    // The stock client sends the same payload object again after a reconnect.
    if (resume === 'never') stream.payload.extensions = {};
    else if (resume === 'always' || isFirst) stream.payload.extensions = { ...stream.payload.extensions, cursor };
  }

  function mutate(query: string, variables: Record<string, unknown> | undefined): Promise<ExecutionResult> {
    const line = current;
    asked.set(line, (asked.get(line) ?? 0) + 1);
    const answered = () => {
      asked.set(line, (asked.get(line) ?? 0) - 1);
      if (line !== current && !asked.get(line)) drop(line);
    };
    return new Promise<ExecutionResult>((resolve, reject) => {
      let result: ExecutionResult | undefined;
      line.client.subscribe(
        { query, variables: variables ?? null },
        {
          next: value => (result = value as ExecutionResult),
          error: reject,
          complete: () => (result ? resolve(result) : reject(new Error('completed without a result'))),
        },
      );
    }).finally(answered);
  }

  return {
    name,
    accessToken: session.accessToken,
    connections: () => connections,
    async post(query, variables, extensions) {
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
    },
    mutate,
    subscribe(payload, listener) {
      const id = randomUUID();
      const stream: Subscription = { cursor: undefined, payload: { ...payload }, listener, leave() {} };
      ids.set(stream.payload, id);
      streams.set(id, stream);
      begin(stream);
      return {
        cursor: () => stream.cursor,
        stop() {
          ids.delete(stream.payload);
          stream.leave();
          if (streams.delete(id)) listener.complete?.();
        },
      };
    },
    stopReading: () => current.stopReading(),
    close: async () => {
      closed = true;
      await Promise.all([...lines].map(line => line.close()));
    },
  };
}
