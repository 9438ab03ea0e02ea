import { randomUUID } from 'node:crypto';
import type { ExecutionResult, SubscribePayload } from 'graphql-ws';
import { openLine, openSession } from './stock-line.ts';
import { poster, type StreamListener, type User, type UserOptions } from './user.ts';

/**
 * A stock client, as whoever writes his own over graphql-ws has it, plus the three habits that make it lossless: it asks the router where to
 * go at each connect, keeps the newest cursor of every subscription, and sends it with the next subscribe. It is closed to make it move.
 * Its mutations go over the WebSocket; after a reconnect they are sent again under the same operation id, and so are the same command.
 */

/** `always` is right. `never` is the usual client, which forgets its cursors, `stale` one that keeps an old one: mutants. */
export type Resume = 'always' | 'never' | 'stale';

interface Subscription {
  cursor: string | undefined;
  readonly payload: Pick<SubscribePayload, 'query'> & { extensions?: SubscribePayload['extensions'] };
  readonly listener: StreamListener;
  stop(): void;
}

/** Logs in and connects lazily. */
export async function openStockUser(
  url: string,
  name: string,
  { resume = 'always', accessToken: given, watch }: UserOptions & { resume?: Resume } = {},
): Promise<User> {
  const session = await openSession(url, name, given);
  const ids = new Map<object, string>();
  const streams = new Map<string, Subscription>();
  let connections = 0;
  const line = openLine({
    ...{ url, session, idOf: payload => ids.get(payload) ?? randomUUID() },
    watch: {
      connected() {
        connections++;
        watch?.connected();
      },
      closed: (code, reason) => watch?.closed(code, reason),
    },
    pinged({ cursors }) {
      for (const [id, cursor] of Object.entries(cursors ?? {})) moved(id, cursor);
    },
  });

  function moved(id: string, cursor: string): void {
    const stream = streams.get(id);
    if (stream === undefined) return;
    const isFirst = stream.cursor === undefined;
    stream.cursor = cursor;
    // graphql-ws sends the same payload object again after a reconnect.
    if (resume === 'never') stream.payload.extensions = {};
    else if (resume === 'always' || isFirst) stream.payload.extensions = { ...stream.payload.extensions, cursor };
  }

  return {
    name,
    accessToken: session.accessToken,
    connections: () => connections,
    post: poster(url, session),
    mutate(query, variables) {
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
      });
    },
    subscribe(payload, listener) {
      const id = randomUUID();
      const stream: Subscription = { cursor: undefined, payload: { ...payload }, listener, stop() {} };
      ids.set(stream.payload, id);
      streams.set(id, stream);
      stream.stop = line.client.subscribe(stream.payload, {
        next(value) {
          const result = value as ExecutionResult;
          listener.next(result);
          const cursor = result.extensions?.cursor;
          if (typeof cursor === 'string') moved(id, cursor);
        },
        error: error => void (streams.delete(id) && listener.error?.(error)),
        complete: () => void (streams.delete(id) && listener.complete?.()),
      });
      return {
        cursor: () => stream.cursor,
        stop() {
          ids.delete(stream.payload);
          stream.stop();
        },
      };
    },
    stopReading: () => line.stopReading(),
    close: () => line.close(),
  };
}
