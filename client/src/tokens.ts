import { UnauthorizedError } from './errors.ts';

/** Access tokens, as the application gives them. */
export interface Tokens {
  /** Asks the application. Whoever asks while another does gets the same. @throws UnauthorizedError: final. */
  fresh(): Promise<string>;
  /** The last one while it holds, else a fresh one. */
  get(): Promise<string>;
  /** A connection with this token has ended with a close code: with 4401 the token does not hold, and getting it once more is final. */
  ended(token: string, code: number): void;
  /** The user key of the last token; undefined before the first, and where it has none. */
  user(): string | undefined;
}

/** A token is not used for a request in its last moments, ms. */
const marginMs = 2_000;

export function openTokens(getToken: () => string | Promise<string>): Tokens {
  let last: string | undefined;
  let refused: string | undefined;
  let asking: Promise<string> | undefined;

  let user: string | undefined;

  async function ask(): Promise<string> {
    const token = await getToken();
    // As of an answer that was an error: asked again.
    if (!token) throw new Error('no token');
    if (token === refused) throw new UnauthorizedError('token refused');
    last = token;
    user = claimsOf(token).sub;
    return token;
  }

  function fresh(): Promise<string> {
    asking ??= ask().finally(() => {
      asking = undefined;
    });
    return asking;
  }

  return {
    fresh,
    get: async () => (last && isCurrent(last) ? last : fresh()),
    ended(token, code) {
      if (code === 4401) refused = token;
      if (token === last && code > 4400) last = undefined;
    },
    user: () => user,
  };
}

function isCurrent(token: string): boolean {
  const { exp } = claimsOf(token);
  return !exp || Date.now() + marginMs < exp * 1_000;
}

interface Claims {
  sub?: string;
  /** Seconds since 1970. */
  exp?: number;
}

/** Reads a JWT without verifying it, which is the servers' work. Characters beyond ASCII come out otherwise, but always the same. */
function claimsOf(token: string): Claims {
  try {
    const [, payload = ''] = token.split('.');
    return JSON.parse(atob(payload.replaceAll('-', '+').replaceAll('_', '/')));
  } catch {
    return {};
  }
}
