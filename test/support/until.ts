/** Waits for a condition, asked again every `everyMs`; rejects with what was awaited when it does not come true in time (a function says it then). */
export async function until<Value>(
  awaited: string | (() => string),
  condition: () => Value | Promise<Value>,
  timeoutMs = 30_000,
  everyMs = 10,
): Promise<NonNullable<Value>> {
  const deadlineMs = performance.now() + timeoutMs;
  for (;;) {
    const value = await condition();
    if (value !== undefined && value !== null && value !== false) return value;
    if (performance.now() > deadlineMs) {
      throw new Error(`${typeof awaited === 'string' ? awaited : awaited()}: not within ${timeoutMs} ms`);
    }
    await new Promise(resolve => setTimeout(resolve, everyMs));
  }
}
