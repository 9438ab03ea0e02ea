/** Returns an access token; waits while the router has too many logins, or is starting. */
export async function logIn(url: string, username: string, password = `${username}-password`): Promise<string> {
  for (;;) {
    const response = await fetch(`${url}/login`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ username, password }),
    });
    if (response.status === 200) return ((await response.json()) as { accessToken: string }).accessToken;
    if (![429, 503].includes(response.status))
      throw new Error(`login of ${username}: ${response.status} ${await response.text()}`);
    await new Promise(resolve => setTimeout(resolve, 200));
  }
}
