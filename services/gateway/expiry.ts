/** setTimeout's largest delay; a longer one would fire at once. */
const longestMs = 2_147_483_647;

/** Calls `over` at that time, however far away it is. Returns what stops it. */
export function whenOver(atMs: number, over: () => void, now: () => number = Date.now): () => void {
  let timer: NodeJS.Timeout;
  wait();
  return () => clearTimeout(timer);

  function wait(): void {
    const leftMs = atMs - now();
    timer = leftMs > longestMs ? setTimeout(wait, longestMs) : setTimeout(over, Math.max(0, leftMs));
  }
}
