import { ConnectionError } from './errors.ts';
import type { WireResult } from './line.ts';
import type { Tokens } from './tokens.ts';

export interface Http {
  /**
   * POSTs, and reads the answer. `heard` prolongs the time in which that has to be done. A `stream` is one of events, and can be
   * broken off. @throws ConnectionError where nobody answers, or the servers cannot serve the request now (1013), or the token has
   * expired (4403) or does not hold (4401); what `read` throws.
   */
  post<Answer>(
    path: '/route' | '/graphql',
    token: string,
    body: object,
    read: (response: Response, heard: () => void) => Promise<Answer>,
    stream?: AbortController,
  ): Promise<Answer>;
  /** Breaks off what is under way. */
  close(): void;
}

/** A command waits for its feedback, a stream for the next ping (at least every 10 s): neither takes longer, ms. */
const silenceMs = 25_000;
/** The servers are there, but do not serve this now. */
const passing = [421, 429, 502, 503, 504];

export function openHttp(url: string, tokens: Tokens): Http {
  const open = new Set<AbortController>();
  return {
    async post(path, token, body, read, stream) {
      const aborting = stream ?? new AbortController();
      open.add(aborting);
      let timer: ReturnType<typeof setTimeout> | undefined;
      const heard = () => {
        clearTimeout(timer);
        timer = setTimeout(() => aborting.abort(), silenceMs);
      };
      heard();
      try {
        const response = await fetch(url + path, {
          method: 'POST',
          signal: aborting.signal,
          headers: {
            authorization: `Bearer ${token}`,
            accept: stream ? 'text/event-stream' : '*/*',
            'content-type': 'application/json',
          },
          body: JSON.stringify(body),
        });
        const { status, headers } = response;
        if (status === 401) throw refusal((await response.json()) as WireResult, token);
        if (!passing.includes(status)) return await read(response, heard);
        const seconds = Number(headers.get('retry-after')) || 0;
        throw new ConnectionError(1013, `${path}: ${status}`, Math.min(30, seconds) * 1_000);
      } catch (error) {
        throw error instanceof ConnectionError ? error : new ConnectionError(1006, `${path}: ${error}`);
      } finally {
        clearTimeout(timer);
        open.delete(aborting);
      }
    },
    close() {
      for (const aborting of open) aborting.abort();
    },
  };

  function refusal({ errors }: WireResult, token: string): ConnectionError {
    const { extensions, message = '' } = errors?.[0] ?? {};
    // A token from the future: a server's clock is wrong, and the token may hold at the next one.
    const code = { expired: 4403, early: 1013 }[extensions?.reason as string] ?? 4401;
    tokens.ended(token, code);
    return new ConnectionError(code, message);
  }
}
