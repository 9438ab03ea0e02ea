import { type Client, createClient } from 'graphql-ws';

export interface ResumingOptions {
  /** Address of the router, as `https://bank.example`. */
  url: string;
  /** Returns an access token. It is called before each connection. Throw {@link LoginNeeded} where there is none to be had. */
  getToken(): string | Promise<string>;
}

interface Payload {
  query: string;
  extensions?: Record<string, unknown> | null | undefined;
}

/** The user has to log in again: the client gives up. */
export class LoginNeeded extends Error {}

/** The gateway pings at least every 10 s. A connection over which nothing comes for this long is dead, ms. */
const silenceMs = 25_000;

/**
 * Makes a client of graphql-ws that goes on behind the last event, whatever has cut its connection. It is a graphql-ws client as any other:
 * Apollo Client, urql and Relay take it as it is.
 */
export function createResumingClient({ url, getToken }: ResumingOptions): Client {
  let accessToken = '';
  let lastId = '';
  let silence: ReturnType<typeof setTimeout> | undefined;

  // These lines resume: graphql-ws sends the same payload again when it has reconnected, and the cursor is in it by then.
  const running = new Map<string, Payload>();
  const goOnBehind = (id: string, cursor: unknown) => {
    const payload = running.get(id);
    if (payload && cursor) payload.extensions = { ...payload.extensions, cursor };
  };

  const client = createClient({
    // Called for each connection: the router says where the user belongs now. It must not throw, or graphql-ws would wait for ever.
    async url() {
      for (let tries = 0; ; tries++) {
        try {
          accessToken = await getToken();
          return await route(url, accessToken);
        } catch (problem) {
          if (problem instanceof LoginNeeded || running.size === 0) break;
          await pause(backOffMs(tries));
        }
      }
      // Without a token it is closed for good (4401), and the subscriptions are told.
      accessToken = '';
      return `${url.replace(/^http/, 'ws')}/graphql`;
    },
    connectionParams: () => ({ accessToken }),
    generateID: () => (lastId = crypto.randomUUID()),
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => true,
    retryWait: retries => pause(backOffMs(retries)),
    connectionAckWaitTimeout: 10_000,
    on: {
      message(message) {
        clearTimeout(silence);
        silence = setTimeout(() => client.terminate(), silenceMs);
        if (message.type === 'next') goOnBehind(message.id, message.payload.extensions?.cursor);
        if (message.type === 'ping') {
          for (const [id, cursor] of Object.entries(message.payload?.cursors ?? {})) goOnBehind(id, cursor);
        }
        if (message.type === 'complete' || message.type === 'error') running.delete(message.id);
      },
      closed: () => clearTimeout(silence),
    },
  });

  return {
    ...client,
    subscribe(payload, sink) {
      const own: Payload = { ...payload };
      const end = client.subscribe(own, sink);
      const id = lastId;
      running.set(id, own);
      return () => {
        running.delete(id);
        end();
      };
    },
  };
}

/** Returns the WebSocket address of the gateway that owns the user's partition; it is good for a minute. */
async function route(url: string, accessToken: string): Promise<string> {
  const response = await fetch(`${url}/route`, { method: 'POST', headers: { authorization: `Bearer ${accessToken}` } });
  if (response.status === 401) throw new LoginNeeded('the access token does not hold');
  if (!response.ok) throw new Error(`the router answers ${response.status}`);
  return ((await response.json()) as { url: string }).url;
}

/** Grows up to 5 s, by half more or less, so that clients do not come all at once. */
const backOffMs = (tries: number) => Math.min(5_000, 50 * 2 ** tries) * (0.5 + Math.random());
const pause = (ms: number) => new Promise<void>(resolve => setTimeout(resolve, ms));
