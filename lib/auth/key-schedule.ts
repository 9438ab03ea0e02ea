/**
 * When a signing key is published, signs, and is forgotten. Pure; all times are milliseconds by PostgreSQL's clock.
 *
 *     published        signs from          successor signs from        + grace + longest token: forgotten
 *     |-- publishAhead --|------ rotation -------|-------------- still published -------------|
 */
export interface KeyTimes {
  kid: string;
  signsFromMs: number;
  /** Longest life of a token that this key has signed or will. */
  longestTokenMs: number;
}

export interface KeySchedule {
  /** Age at which a key is replaced. */
  rotationMs: number;
  /** How long a key is published before it signs, so that every router and verifier has it. */
  publishAheadMs: number;
  /** How long a router that cannot reach PostgreSQL goes on signing with a key that should have been replaced. */
  graceMs: number;
}

const clockToleranceMs = 10_000;

/** The schedule for keys that are replaced at the age of `rotationSeconds`. */
export function scheduleFor(rotationSeconds: number): KeySchedule {
  const rotationMs = rotationSeconds * 1_000;
  return {
    rotationMs,
    publishAheadMs: Math.min(300_000, rotationMs / 4),
    graceMs: Math.min(3_600_000, rotationMs),
  };
}

/** The key that signs now: the newest one that may. Undefined when every key is too old, or there is none. */
export function signingKeyAt<Key extends KeyTimes>(
  keys: readonly Key[],
  schedule: KeySchedule,
  nowMs: number,
): Key | undefined {
  let newest: Key | undefined;
  for (const key of keys) {
    const maySign = key.signsFromMs <= nowMs && nowMs < key.signsFromMs + schedule.rotationMs + schedule.graceMs;
    if (maySign && (newest === undefined || key.signsFromMs > newest.signsFromMs)) newest = key;
  }
  return newest;
}

/** When the next key must begin to sign, if it is time to make it: at once where no key can sign. */
export function successorSignsFrom(
  keys: readonly KeyTimes[],
  schedule: KeySchedule,
  nowMs: number,
): number | undefined {
  const newestFromMs = keys.reduce((newest, key) => Math.max(newest, key.signsFromMs), Number.NEGATIVE_INFINITY);
  if (newestFromMs > nowMs) return undefined;
  if (signingKeyAt(keys, schedule, nowMs) === undefined) return nowMs;
  if (nowMs < newestFromMs + schedule.rotationMs - schedule.publishAheadMs) return undefined;
  // Less ahead than wanted is better than a time in which nothing can sign.
  const lastMs = newestFromMs + schedule.rotationMs + schedule.graceMs;
  return Math.min(lastMs, Math.max(nowMs + schedule.publishAheadMs, newestFromMs + schedule.rotationMs));
}

/** Keys whose last token has expired. The last one to sign with a key is a router that was cut off from PostgreSQL. */
export function forgottenAt(keys: readonly KeyTimes[], schedule: KeySchedule, nowMs: number): string[] {
  const inOrder = keys.toSorted((one, other) => one.signsFromMs - other.signsFromMs);
  return inOrder
    .filter((key, index) => {
      const successor = inOrder[index + 1];
      if (successor === undefined) return false;
      const lastSignatureMs = successor.signsFromMs + schedule.graceMs;
      return lastSignatureMs + key.longestTokenMs + clockToleranceMs <= nowMs;
    })
    .map(key => key.kid);
}

/** What has to be written for the keys of one use. */
export interface KeyWork {
  /** Make a key that signs from then on. */
  signsFromMs: number | undefined;
  /** Kids of keys that will sign tokens with a longer life than noted. */
  lengthen: readonly string[];
  /** Kids of keys to delete. */
  forget: readonly string[];
}

/** `longestTokenMs`: the life of the tokens that this router signs. */
export function workFor(
  keys: readonly KeyTimes[],
  schedule: KeySchedule,
  nowMs: number,
  longestTokenMs: number,
): KeyWork {
  const forget = forgottenAt(keys, schedule, nowMs);
  return {
    signsFromMs: successorSignsFrom(keys, schedule, nowMs),
    lengthen: keys.filter(key => key.longestTokenMs < longestTokenMs && !forget.includes(key.kid)).map(key => key.kid),
    forget,
  };
}

export function hasWork(work: KeyWork): boolean {
  return work.signsFromMs !== undefined || work.lengthen.length > 0 || work.forget.length > 0;
}
