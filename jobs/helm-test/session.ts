import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { createClient } from 'graphql-ws';
import { WebSocket } from 'ws';
import { z } from 'zod';
import { messageOf } from '../../lib/errors.ts';

/** A user of the router, for as long as one test takes. */
export interface Session {
  accessToken: string;
  /** Sends an operation over HTTP, and returns its data. @throws Error with the router's answer where it has errors. */
  post(query: string, variables?: Record<string, unknown>): Promise<Record<string, unknown>>;
  subscribe(query: string, variables?: Record<string, unknown>): Subscription;
  say(line: string): void;
  /** Closes the connection, without waiting for it. */
  close(): void;
}

export interface Subscription {
  /** Resolves with the cursor of the first ping that names this subscription: from then on it misses no event. */
  cursor(): Promise<string>;
  /** Resolves with the data of the first event that fits. */
  event(fits: (data: Record<string, unknown>) => boolean): Promise<Record<string, unknown>>;
}

export interface SessionOptions {
  /** The router's address. */
  url: string;
  accessToken: string;
  /** Aborts when the time for the whole test is over. */
  deadline: AbortSignal;
  say(line: string): void;
}

const retryMs = 500;
const routed = z.object({ url: z.string() });
const result = z.object({
  data: z.record(z.string(), z.unknown()).nullish(),
  errors: z.array(z.unknown()).optional(),
});
const pinged = z.object({ cursors: z.record(z.string(), z.string()) });

/** Connects when the first subscription needs it. */
export function openSession({ url, accessToken, deadline, say }: SessionOptions): Session {
  const authorization = `Bearer ${accessToken}`;
  /** Cursors that pings have named, by the subscription's id. */
  const cursors = new Map<string, PromiseWithResolvers<string>>();
  /** Why there is no connection, as far as is known. */
  let trouble = 'not connected yet';

  const unrouted = Promise.withResolvers<never>();
  unrouted.promise.catch(() => undefined); // whoever waits hears of it

  async function askForRoute(): Promise<string> {
    const { status, body } = await answered(
      () => fetch(`${url}/route`, { method: 'POST', headers: { authorization }, signal: deadline }),
      deadline,
      'asking where to connect',
    );
    const route = routed.safeParse(body);
    if (status !== 200 || !route.success) throw new Error(`POST /route: ${status} ${JSON.stringify(body)}`);
    return route.data.url;
  }

  const client = createClient({
    // Never rejects: graphql-ws 6.4 would not catch it.
    url: () =>
      askForRoute().catch((error: unknown) => {
        unrouted.reject(error);
        return new Promise<string>(() => undefined);
      }),
    connectionParams: { accessToken },
    webSocketImpl: WebSocket,
    retryAttempts: Number.POSITIVE_INFINITY,
    shouldRetry: () => !deadline.aborted,
    retryWait: () => sleep(retryMs),
    on: {
      closed: event => {
        trouble = reasonOf(event);
      },
      ping: (received, payload) => {
        const parsed = pinged.safeParse(payload);
        if (!received || !parsed.success) return;
        for (const [id, cursor] of Object.entries(parsed.data.cursors)) cursors.get(id)?.resolve(cursor);
      },
    },
    generateID: payload => ids.get(payload) ?? randomUUID(),
  });
  const ids = new WeakMap<object, string>();

  return {
    accessToken,
    say,
    async post(query, variables) {
      const { status, body } = await answered(
        () =>
          fetch(`${url}/graphql`, {
            method: 'POST',
            headers: { authorization, 'content-type': 'application/json' },
            body: JSON.stringify({ query, variables }),
            signal: deadline,
          }),
        deadline,
        'POST /graphql',
      );
      const { data, errors } = result.parse(body);
      if (!data || errors) throw new Error(`POST /graphql: ${status} ${JSON.stringify(errors)}`);
      return data;
    },
    subscribe(query, variables) {
      const id = randomUUID();
      const payload = { query, variables: variables ?? null };
      ids.set(payload, id);
      const cursor = Promise.withResolvers<string>();
      cursors.set(id, cursor);
      const over = Promise.withResolvers<never>();
      over.promise.catch(() => undefined); // whoever waits hears of it
      const seen: Record<string, unknown>[] = [];
      let onEvent = (): void => undefined;
      client.subscribe(payload, {
        next({ data, errors }) {
          if (errors) over.reject(new Error(`the subscription has failed: ${JSON.stringify(errors)}`));
          if (data) seen.push(data);
          onEvent();
        },
        error: error => over.reject(new Error(`the subscription has failed: ${reasonOf(error)}`)),
        complete: () => over.reject(new Error('the subscription has ended')),
      });
      const waitFor = <T>(what: string, promise: Promise<T>): Promise<T> =>
        Promise.race([...[promise, over.promise, unrouted.promise], late(deadline, () => `${what} (${trouble})`)]);
      return {
        cursor: () => waitFor('no ping with a cursor', cursor.promise),
        event: fits =>
          waitFor(
            'no event',
            new Promise(resolve => {
              const look = (): void => {
                const found = seen.find(fits);
                if (found !== undefined) resolve(found);
              };
              onEvent = look;
              look();
            }),
          ),
      };
    },
    close() {
      // Neither resolves nor rejects for certain where it is just connecting.
      Promise.resolve(client.dispose()).catch(() => undefined);
    },
  };
}

/**
 * Asks until there is an answer other than 429 and 503, and returns it. A router may have no gateway yet, or be too busy.
 * @throws Error with the last reason when the time is over.
 */
export async function answered(
  ask: () => Promise<Response>,
  deadline: AbortSignal,
  what: string,
): Promise<{ status: number; body: unknown }> {
  for (let reason = 'no answer'; ; await sleep(retryMs)) {
    if (deadline.aborted) throw new Error(`${what}: the time is over: ${reason}`);
    try {
      const response = await ask();
      const body: unknown = await response.json().catch(() => undefined);
      if (![429, 503].includes(response.status)) return { status: response.status, body };
      reason = `${response.status} ${JSON.stringify(body)}`;
    } catch (error) {
      // What the deadline itself has cut short says less than what was there before.
      if (!deadline.aborted) reason = reasonOf(error);
    }
  }
}

function late(deadline: AbortSignal, reason: () => string): Promise<never> {
  return new Promise((_, reject) => {
    const over = (): void => reject(new Error(`the time is over: ${reason()}`));
    if (deadline.aborted) over();
    else deadline.addEventListener('abort', over, { once: true });
  });
}

const closed = z.object({ code: z.number(), reason: z.string() });

/** Returns why something has failed: `fetch failed` says nothing without its cause, and a socket that was closed has a code. */
function reasonOf(error: unknown): string {
  const close = closed.safeParse(error);
  if (close.success) return `the WebSocket was closed: ${close.data.code} ${close.data.reason}`;
  if (error instanceof Error && error.cause !== undefined) return `${error.message}: ${messageOf(error.cause)}`;
  return error instanceof Error ? error.message : JSON.stringify(error);
}
