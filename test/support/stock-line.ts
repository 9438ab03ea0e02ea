import { type Client, createClient, type SubscribePayload } from 'graphql-ws';
import { WebSocket } from 'ws';
import { logIn } from './log-in.ts';
import type { ConnectionWatch } from './user.ts';

/** Who a client is to the router: logs in, and asks where to go. */
export interface Session {
  accessToken(): string;
  /** The token has expired: logs in again before the next question. */
  expire(): void;
  logIn(): Promise<void>;
  /** The owner's address, and the access token that it is bound to; undefined while no router can say. */
  askForRoute(): Promise<{ address: string; accessToken: string } | undefined>;
}

/** A connection of a client and those that follow when it breaks: stock graphql-ws, which asks the router at each connect. */
export interface Line {
  client: Client;
  /** Stops reading the connection that is open now; returns what makes it read again. */
  stopReading(): () => void;
  close(): Promise<void>;
}

export interface LineOptions {
  url: string;
  session: Session;
  idOf(payload: SubscribePayload): string;
  watch: ConnectionWatch;
  /** A server's ping. */
  pinged(payload: { cursors?: Record<string, string> }): void;
}

/** Whoever is closed while it connects has to connect first: so often it is tried. */
const closingAttempts = 10;

/** ms; jittered. */
const backOffMs = (attempt: number) => Math.min(1_000, 50 * attempt) * (0.5 + Math.random());

export async function openSession(url: string, name: string, given: string | undefined): Promise<Session> {
  let accessToken = given ?? (await logIn(url, name));
  /** A router takes a token for some seconds longer than it holds (clocks differ), a gateway doesn't serve with it. */
  let expired = false;
  const session: Session = {
    accessToken: () => accessToken,
    expire: () => void (expired = true),
    async logIn() {
      accessToken = await logIn(url, name);
    },
    async askForRoute() {
      if (expired) await session.logIn();
      expired = false;
      const token = accessToken;
      const response = await fetch(`${url}/route`, { method: 'POST', headers: { authorization: `Bearer ${token}` } });
      const body = (await response.json()) as { url?: string };
      expired = response.status === 401;
      return response.status === 200 && body.url ? { address: body.url, accessToken: token } : undefined;
    },
  };
  return session;
}

export function openLine({ url, session, idOf, watch, pinged }: LineOptions): Line {
  let closed = false;
  /** The route token is bound to the access token with which it was asked for: a fresh one that came since is for the next time. */
  let routedToken = session.accessToken();
  let socket: WebSocket | undefined;
  /** Known to us, so that it can be told to stop reading. */
  class KnownSocket extends WebSocket {
    constructor(address: string, protocols?: string | string[]) {
      super(address, protocols);
      socket = this;
    }
  }
  const client = createClient({
    // Never rejects: graphql-ws 6.4 would neither catch it nor try again.
    url: async () => {
      for (let attempt = 1; !closed || attempt <= closingAttempts; attempt++) {
        const route = await session.askForRoute().catch(() => undefined);
        if (route !== undefined) {
          routedToken = route.accessToken;
          return route.address;
        }
        await new Promise(resolve => setTimeout(resolve, backOffMs(attempt)));
      }
      return `${url.replace(/^http/, 'ws')}/graphql`;
    },
    connectionParams: () => ({ accessToken: routedToken }),
    webSocketImpl: KnownSocket,
    lazyCloseTimeout: 1_000,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: attempt => new Promise(resolve => setTimeout(resolve, backOffMs(attempt))),
    generateID: idOf,
    on: {
      connected: () => watch.connected(),
      ping: (received, payload) => {
        if (received && payload) pinged(payload);
      },
      closed: event => {
        const { code = 0, reason = '' } = event as { code?: number; reason?: string };
        if (code === 4403) session.expire();
        watch.closed(code, reason);
      },
    },
  });
  return {
    client,
    stopReading() {
      const stopped = socket;
      stopped?.pause();
      return () => stopped?.resume();
    },
    async close() {
      closed = true;
      // Rejects where it was just connecting, in vain: it is closed all the same.
      await Promise.resolve(client.dispose()).catch(() => undefined);
    },
  };
}
