import { ConnectionError, isFinal, isPassing, OperationError } from './errors.ts';
import type { Http } from './http.ts';
import type { Payload, WireResult } from './line.ts';
import { backOffMs, deferred, pause } from './time.ts';
import type { Tokens } from './tokens.ts';
import type { Result } from './types.ts';

/** Queries and mutations, over HTTP. */
export interface Requests {
  /**
   * Sends the operation until it has an answer that would not be another later, or until this time (`performance.now()`).
   * @throws UnauthorizedError; ConnectionError when the time is over, or the client is closed.
   */
  send<Data>(payload: Payload, untilMs?: number): Promise<Result<Data> & { cursor?: string }>;
  /** Does something again while it fails in passing. @throws as `send`. */
  again<Value>(attempt: () => Promise<Value>, untilMs?: number): Promise<Value>;
  close(): void;
}

export function openRequests(http: Http, tokens: Tokens): Requests {
  const closing = deferred();
  let isClosed = false;

  async function again<Value>(attempt: () => Promise<Value>, untilMs = Number.POSITIVE_INFINITY): Promise<Value> {
    for (let attempts = 0; ; attempts++) {
      try {
        if (!isClosed) return await attempt();
      } catch (error) {
        const ms = Math.max((error as ConnectionError | undefined)?.retryAfterMs ?? 0, backOffMs(attempts, 100));
        if (!isClosed && (isFinal(error) || performance.now() + ms > untilMs)) throw error;
        await pause(ms, closing.promise);
      }
      if (isClosed) throw new ConnectionError(1000, 'closed');
    }
  }

  return {
    again,
    async send<Data>(payload: Payload, untilMs?: number) {
      let result: WireResult | undefined;
      try {
        await again(async () => {
          result = undefined;
          const read = async (response: Response) => (await response.json()) as WireResult;
          result = await http.post('/graphql', await tokens.get(), payload, read);
          if (isPassing(result.errors)) throw new OperationError(result.errors);
        }, untilMs);
      } catch (error) {
        if (isClosed || !result) throw error;
      }
      const { data, errors, extensions } = result ?? {};
      const cursor = extensions?.cursor;
      return { data: data as Data, ...(errors && { errors }), ...(cursor && { cursor }) };
    },
    close() {
      isClosed = true;
      closing.resolve();
    },
  };
}
