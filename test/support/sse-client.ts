import type { ExecutionResult, SubscribePayload } from 'graphql-ws';
import type { ConnectionWatch, Stream, StreamListener } from './user.ts';

export interface AccessTokens {
  current: string;
  /** Asked when it holds no more. */
  renew(): Promise<string>;
}

/** A token that is over, limits, and whoever is away: it comes back after these. */
const passing = [401, 429, 502, 503, 504];

/**
 * A subscription over SSE as a browser's EventSource has it, but with a header for the token: comes back by itself with
 * `Last-Event-ID` until it is complete or stopped.
 */
export function streamEvents(
  url: string,
  tokens: AccessTokens,
  payload: SubscribePayload,
  listener: StreamListener,
  watch?: ConnectionWatch,
): Stream & { stopReading(): () => void } {
  const stopping = new AbortController();
  let accessToken = tokens.current;
  let cursor: string | undefined;
  let reading = Promise.resolve();
  void run();
  return {
    cursor: () => cursor,
    stop: () => stopping.abort(),
    stopReading() {
      let goOn = () => {};
      reading = new Promise(resolve => (goOn = resolve));
      return goOn;
    },
  };

  async function run(): Promise<void> {
    for (let attempt = 1; !stopping.signal.aborted; attempt++) {
      try {
        if (await follow(() => (attempt = 0))) return;
      } catch (error) {
        if (stopping.signal.aborted) return;
        watch?.closed(0, error instanceof Error ? error.message : String(error));
      }
      await new Promise(resolve => setTimeout(resolve, Math.min(1_000, 50 * attempt) * (0.5 + Math.random())));
    }
  }

  /** @returns whether the operation is complete; false: the response has ended without. */
  async function follow(begun: () => void): Promise<boolean> {
    const response = await fetch(`${url}/graphql`, {
      method: 'POST',
      signal: stopping.signal,
      headers: {
        authorization: `Bearer ${accessToken}`,
        accept: 'text/event-stream',
        'content-type': 'application/json',
        ...(cursor === undefined ? {} : { 'last-event-id': cursor }),
      },
      body: JSON.stringify(payload),
    });
    if (response.status === 401) accessToken = await tokens.renew();
    if (!response.headers.get('content-type')?.startsWith('text/event-stream')) {
      const said = `${response.status} ${(await response.text()).slice(0, 200)}`;
      if (passing.includes(response.status)) throw new Error(said);
      listener.error?.(said);
      return true;
    }
    begun();
    watch?.connected();
    const decoder = new TextDecoder();
    let text = '';
    for await (const chunk of response.body ?? []) {
      await reading;
      text += decoder.decode(chunk, { stream: true });
      const events = text.split('\n\n');
      text = events.pop() ?? '';
      for (const event of events) {
        const taken = take(event);
        if (taken === 'over') return true;
        if (taken === 'expired') {
          accessToken = await tokens.renew();
          watch?.closed(0, 'the access token has expired');
          return false;
        }
      }
    }
    watch?.closed(0, 'the response has ended');
    return false;
  }

  function take(text: string): 'expired' | 'more' | 'over' {
    const fields = new Map<string, string>();
    for (const line of text.split('\n')) {
      const colon = line.indexOf(':');
      fields.set(line.slice(0, colon), line.slice(colon + 1).replace(/^ /, ''));
    }
    const event = fields.get('event');
    if (event === 'complete') {
      listener.complete?.();
      return 'over';
    }
    if (event === 'next') {
      const result = JSON.parse(fields.get('data') ?? '') as ExecutionResult;
      if (result.errors && !result.data) {
        if (result.errors.some(({ extensions }) => extensions?.code === 'UNAUTHENTICATED')) return 'expired';
        listener.error?.(result.errors);
        return 'over';
      }
      listener.next(result);
    }
    cursor = fields.get('id') ?? cursor;
    return 'more';
  }
}
