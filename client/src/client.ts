import { sendCommand } from './command.ts';
import { openConnection } from './connection.ts';
import { openHttp } from './http.ts';
import { openLive } from './live.ts';
import { openRequests } from './requests.ts';
import { openState } from './state.ts';
import { openStorage } from './storage.ts';
import { openSubscription } from './subscription.ts';
import { openTokens } from './tokens.ts';
import type { Client, ClientOptions, Counters } from './types.ts';

/** A query is sent again for this long where it cannot be answered, ms. */
const queryPatienceMs = 30_000;

/** Makes a client; it connects with the first subscription. */
export function createClient(options: ClientOptions): Client {
  const { onGap = () => 'refetch', webSocket = (globalThis as { WebSocket?: unknown }).WebSocket } = options;
  const counters: Counters = { delivered: 0, replayed: 0, reconnects: 0, moves: 0, gaps: 0 };
  const state = openState();
  const tokens = openTokens(async () => options.getToken());
  const http = openHttp(options.url.replace(/\/+$/, ''), tokens);
  const storage = openStorage(options.storage, tokens);
  const connection = openConnection({ http, tokens, webSocket, counters, show: state.show });
  const requests = openRequests(http, tokens);
  const parts = { connection, storage, counters, onGap, requests, tokens };

  return {
    get state() {
      return state.get();
    },
    counters,
    onState: state.listen,
    subscribe: ({ query, ...request }) => openSubscription(parts, { ...request, query: String(query) }),
    query: ({ query, variables }) =>
      requests.send({ query: String(query), variables }, performance.now() + queryPatienceMs),
    command: ({ query, variables, commandId }) =>
      sendCommand(parts, { query: String(query), variables: { ...variables }, commandId }),
    live: ({ query, subscription, ...request }) =>
      openLive(parts, { ...request, query: String(query), subscription: String(subscription) }),
    close() {
      requests.close();
      connection.close();
      http.close();
    },
  };
}
