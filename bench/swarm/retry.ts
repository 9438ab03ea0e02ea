/** How long a client waits before its n-th attempt to come back, ms; n begins at 0. */
export type RetryWait = (attempt: number) => number;

/** As graphql-ws 6 does by default: 1 s, doubled each time, and 0.3–3 s of jitter on top. */
export const stockWait: RetryWait = attempt => 1_000 * 2 ** Math.min(attempt, 6) + 300 + Math.random() * 2_700;

/** A client in a hurry: anywhere in the first half second, then in twice as much each time, up to 8 s. */
export const eagerWait: RetryWait = attempt => Math.random() * Math.min(8_000, 500 * 2 ** attempt);

/** Codes after which graphql-ws does not come back, whatever it was told about retrying. */
export const isFinal = (code: number): boolean =>
  [4400, 4401, 4406, 4409, 4429, 4500].includes(code) ||
  (code >= 1_000 && code < 2_000 && ![1_000, 1_001, 1_005, 1_006, 1_012, 1_013, 1_014].includes(code));
