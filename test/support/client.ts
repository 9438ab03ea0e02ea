import { randomUUID } from 'node:crypto';
import { type Client, createClient, type ExecutionResult, type SubscribePayload } from 'graphql-ws';
import { WebSocket } from 'ws';

/**
 * A tiny reference client: stock graphql-ws, plus the three habits that make it lossless — ask the router where to go
 * at each connect, keep the newest cursor of every subscription, send it with the next subscribe.
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

export async function logIn(url: string, username: string, password = `${username}-password`): Promise<string> {
  for (;;) {
    const response = await fetch(`${url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    if (response.status === 200) return ((await response.json()) as { accessToken: string }).accessToken;
    if (response.status !== 503) throw new Error(`login of ${username}: ${response.status} ${await response.text()}`);
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}

/** `always` is right. `never` is the usual client, which forgets its cursors, `stale` one that keeps an old one: mutants. */
export type Resume = 'always' | 'never' | 'stale';

export interface UserOptions {
  resume?: Resume;
  /** Of an earlier login; default: logs in. */
  accessToken?: string;
  /** Told when a connection has begun, and when it has ended and how. */
  watch?: ConnectionWatch;
}

export interface ConnectionWatch {
  connected(): void;
  closed(code: number, reason: string): void;
}

/** Whoever is closed while it connects has to connect first: so often it is tried. */
const closingAttempts = 10;

/** ms; jittered. */
const backOffMs = (attempt: number) => Math.min(1_000, 50 * attempt) * (0.5 + Math.random());

/** Logs in and connects lazily. */
export async function openUser(
  url: string,
  name: string,
  { resume = 'always', accessToken: given, watch }: UserOptions = {},
): Promise<User> {
  let accessToken = given ?? (await logIn(url, name));
  /** The route token is bound to the access token with which it was asked for: a fresh one that came since is for the next time. */
  let routedToken = accessToken;
  /** A router takes a token for some seconds longer than it holds (clocks differ), a gateway doesn't serve with it. */
  let expired = false;
  let connections = 0;
  let closed = false;
  let socket: WebSocket | undefined;
  /** Known to us, so that it can be told to stop reading. */
  class KnownSocket extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols);
      socket = this;
    }
  }
  const ids = new Map<object, string>();
  const streams = new Map<
    string,
    { cursor: string | undefined; payload: { extensions?: SubscribePayload['extensions'] } }
  >();
  const client: Client = createClient({
    // Never rejects: graphql-ws 6.4 would neither catch it nor try again.
    url: async () => {
      for (let attempt = 1; !closed || attempt <= closingAttempts; attempt++) {
        const address = await askForRoute().catch(() => undefined);
        if (address !== undefined) return address;
        await new Promise(resolve => setTimeout(resolve, backOffMs(attempt)));
      }
      return `${url.replace(/^http/, 'ws')}/graphql`;
    },
    connectionParams: () => ({ accessToken: routedToken }),
    webSocketImpl: KnownSocket,
    lazy: true,
    lazyCloseTimeout: 1_000,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: attempt => new Promise(resolve => setTimeout(resolve, backOffMs(attempt))),
    generateID: payload => ids.get(payload) ?? randomUUID(),
    on: {
      connected: () => {
        connections++;
        watch?.connected();
      },
      ping: (received, payload) => {
        const cursors = received ? (payload?.cursors as Record<string, string> | undefined) : undefined;
        for (const [id, cursor] of Object.entries(cursors ?? {})) moved(id, cursor);
      },
      closed: event => {
        const { code = 0, reason = '' } = event as { code?: number; reason?: string };
        watch?.closed(code, reason);
        expired ||= code === 4403;
      },
    },
  });

  /** Undefined while no router can say. */
  async function askForRoute(): Promise<string | undefined> {
    if (expired) accessToken = await logIn(url, name);
    expired = false;
    const token = accessToken;
    const response = await fetch(`${url}/route`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
    const body = (await response.json()) as { url?: string };
    expired = response.status === 401;
    routedToken = token;
    return response.status === 200 ? body.url : undefined;
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

  return {
    name,
    accessToken: () => accessToken,
    connections: () => connections,
    async post(query, variables, extensions) {
      const ask = () =>
        fetch(`${url}/graphql`, {
          method: 'POST',
          headers: { 'content-type': 'application/json', authorization: `Bearer ${accessToken}` },
          body: JSON.stringify({ query, variables, extensions }),
        });
      let response = await ask();
      if (response.status === 401) {
        accessToken = await logIn(url, name);
        response = await ask();
      }
      const body = (await response.json()) as Partial<Answer>;
      return { ...body, status: response.status, data: body.data ?? {} };
    },
    mutate: (query, variables) =>
      new Promise((resolve, reject) => {
        let result: ExecutionResult | undefined;
        client.subscribe(
          { query, variables: variables ?? null },
          {
            next: value => (result = value as ExecutionResult),
            error: reject,
            complete: () => (result ? resolve(result) : reject(new Error('completed without a result'))),
          },
        );
      }),
    subscribe(payload, listener) {
      const id = randomUUID();
      const own = { ...payload };
      const stream = { cursor: undefined as string | undefined, payload: own };
      ids.set(own, id);
      streams.set(id, stream);
      const stop = client.subscribe(own, {
        next(value) {
          const result = value as ExecutionResult;
          listener.next(result);
          const cursor = result.extensions?.cursor;
          if (typeof cursor === 'string') moved(id, cursor);
        },
        error: error => listener.error?.(error),
        complete: () => listener.complete?.(),
      });
      return {
        cursor: () => stream.cursor,
        stop() {
          streams.delete(id);
          ids.delete(own);
          stop();
        },
      };
    },
    stopReading() {
      const stopped = socket;
      stopped?.pause();
      return () => stopped?.resume();
    },
    close: async () => {
      closed = true;
      // Rejects where it was just connecting, in vain: it is closed all the same.
      await Promise.resolve(client.dispose()).catch(() => undefined);
    },
  };
}
