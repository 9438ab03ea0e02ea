import { UnauthorizedError } from '@penstock/client';
import { type ReadonlySignal, signal } from '@preact/signals';

export interface LoggedIn {
  username: string;
  /** Roles that the token names. */
  roles: readonly string[];
  accessToken: string;
  /** Time when the token ends, in milliseconds since 1970. */
  expiresAtMs: number;
}

/** Who is logged in, in this tab. */
export interface Session {
  /** Undefined where nobody is logged in. */
  readonly user: ReadonlySignal<LoggedIn | undefined>;
  /** Why the last user is not logged in any more; undefined after the user logged out. */
  readonly endedBecause: ReadonlySignal<string | undefined>;
  /** @throws LogInError with a text for the user. */
  logIn(username: string, password: string): Promise<void>;
  /** @param reason shown above the log-in form. */
  logOut(reason?: string): void;
  /** For `createClient`. @throws UnauthorizedError where nobody is logged in, or the token has ended. */
  getToken(): string;
}

/** A log-in that did not succeed; the message is for the user. */
export class LogInError extends Error {
  override readonly name = 'LogInError';
}

const key = 'penstock.session';

/**
 * Opens the session of this tab.
 * @param storage where the access token is kept: `sessionStorage`. It survives a reload, ends with the tab, is another one in each tab
 *   (two people can be logged in side by side), and is never sent by the browser itself, as a cookie is. A script that got into the
 *   page could read it; it could read it from memory as well, and the pages' Content-Security-Policy admits no foreign script.
 */
export function openSession(storage: Storage, nowMs: () => number = Date.now): Session {
  const user = signal(stored(storage, nowMs()));
  const endedBecause = signal<string>();
  return {
    user,
    endedBecause,
    async logIn(username, password) {
      const sentAtMs = nowMs();
      const { accessToken, expiresIn } = await requestToken(username, password);
      const loggedIn = {
        username,
        roles: rolesOf(accessToken),
        accessToken,
        expiresAtMs: sentAtMs + expiresIn * 1_000,
      };
      storage.setItem(key, JSON.stringify(loggedIn));
      endedBecause.value = undefined;
      user.value = loggedIn;
    },
    logOut(reason) {
      storage.removeItem(key);
      endedBecause.value = reason;
      user.value = undefined;
    },
    getToken() {
      const { accessToken, expiresAtMs } = user.peek() ?? { accessToken: undefined, expiresAtMs: 0 };
      if (accessToken === undefined || expiresAtMs <= nowMs()) throw new UnauthorizedError('the session has ended');
      return accessToken;
    },
  };
}

async function requestToken(username: string, password: string): Promise<{ accessToken: string; expiresIn: number }> {
  const response = await fetch('/login', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ username, password }),
  }).catch(() => {
    throw new LogInError('The server cannot be reached. Check your connection and try again.');
  });
  if (response.ok) return response.json();
  throw new LogInError(await faultOf(response));
}

async function faultOf(response: Response): Promise<string> {
  switch (response.status) {
    case 401:
      return 'The password is wrong, or there is no such user.';
    case 429:
      return `Too many attempts. Try again in ${response.headers.get('retry-after') ?? 'a few'} s.`;
    case 503:
      return 'The server is starting. Try again in a moment.';
    default: {
      const body: { errors?: { message?: string }[] } = await response.json().catch(() => ({}));
      return `Log-in failed: ${body.errors?.[0]?.message ?? `status ${response.status}`}.`;
    }
  }
}

/** The token is read only to know what to show; the servers verify it. */
function rolesOf(accessToken: string): readonly string[] {
  try {
    const [, payload = ''] = accessToken.split('.');
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), char => char.charCodeAt(0));
    const { roles } = JSON.parse(new TextDecoder().decode(bytes));
    return Array.isArray(roles) ? roles.filter(role => typeof role === 'string') : [];
  } catch {
    return [];
  }
}

function stored(storage: Storage, nowMs: number): LoggedIn | undefined {
  try {
    const found: LoggedIn = JSON.parse(storage.getItem(key) ?? 'null');
    return found?.expiresAtMs > nowMs ? found : undefined;
  } catch {
    return undefined;
  }
}
