import { randomUUID } from 'node:crypto';
import { z } from 'zod';
import { answered } from './session.ts';

const granted = z.object({ accessToken: z.string() });

/** Logs in as a new user, and returns the access token. @throws Error that says what to set where the router signs nobody up. */
export async function signUp(url: string, deadline: AbortSignal, say: (line: string) => void): Promise<string> {
  const username = `helm-test-${randomUUID()}`;
  const { status, body } = await answered(
    () =>
      fetch(`${url}/login`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ username, password: randomUUID() }),
        signal: deadline,
      }),
    deadline,
    'logging in',
  );
  const parsed = granted.safeParse(body);
  if (status !== 200 || !parsed.success) {
    throw new Error(
      `the router signs nobody up (POST /login: ${status}): name a Secret with an access token in tests.tokenSecret`,
    );
  }
  say(`logged in as ${username}`);
  return parsed.data.accessToken;
}
