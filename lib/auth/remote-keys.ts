import { createRemoteJWKSet, customFetch, errors, type FetchImplementation, type JWTVerifyGetKey } from 'jose';
import { messageOf } from '../errors.ts';
import type { Closable, Ops } from '../ops/index.ts';
import { BoundedMap } from './bounded-map.ts';
import { KeysUnavailableError } from './token-errors.ts';

/** Where a verifier gets keys from. `getKey` throws {@link KeysUnavailableError} when there is none to be had. */
export interface VerificationKeys extends Closable {
  getKey: JWTVerifyGetKey;
}

export interface RemoteKeysTiming {
  /** How often a key set that is held is fetched again: new keys are known before they sign, withdrawn ones forgotten. */
  refreshMs: number;
  /** Shortest time between two fetches that unknown key ids cause. */
  cooldownMs: number;
  /** After a failed fetch none is tried for this long, so that a dead endpoint is not hammered. */
  failureCooldownMs: number;
  /** Longest time that one fetch takes. */
  timeoutMs: number;
  /** Largest key set that is read. */
  maxBytes: number;
}

const defaultTiming: RemoteKeysTiming = {
  refreshMs: 30_000,
  cooldownMs: 2_000,
  failureCooldownMs: 500,
  timeoutMs: 5_000,
  maxBytes: 1_048_576,
};

/** Unknown key ids that are remembered, and for how long. */
const unknownKeyIds = 1_000;
const unknownForMs = 600_000;
/** A longer one is nobody's. */
const maxKeyIdLength = 256;

/**
 * The key set behind a JWKS address. Keys that were fetched once are used for as long as the endpoint is away;
 * a key id that is not among them causes a fetch at once, or cannot be verified until the next fetch is due: it may be new. Not ready (`jwks-<name>`) until the first fetch succeeds.
 */
export function openRemoteKeys(
  url: string,
  name: string,
  ops: Pick<Ops, 'log' | 'readiness'>,
  timing: Partial<RemoteKeysTiming> = {},
): VerificationKeys {
  const { refreshMs, cooldownMs, failureCooldownMs, timeoutMs, maxBytes } = { ...defaultTiming, ...timing };
  const part = `jwks-${name}`;
  let failedAtMs = Number.NEGATIVE_INFINITY;
  /** When the last fetch that succeeded began. */
  let askedAtMs = Number.NEGATIVE_INFINITY;
  /** When each key id was first seen and not known. */
  const unknown = new BoundedMap<number>(unknownKeyIds);
  const fetchKeys: FetchImplementation = async (address, options) => {
    if (performance.now() - failedAtMs < failureCooldownMs) throw new Error('the last fetch failed just now');
    const startedAtMs = performance.now();
    try {
      const response = await fetch(address, options);
      if (response.status !== 200) throw new Error(`HTTP status ${response.status}`);
      const body = await readBounded(response, maxBytes);
      askedAtMs = startedAtMs;
      return new Response(body, { status: 200 });
    } catch (error) {
      failedAtMs = performance.now();
      throw error;
    }
  };
  const remote = createRemoteJWKSet(new URL(url), {
    cooldownDuration: cooldownMs,
    cacheMaxAge: Number.POSITIVE_INFINITY,
    timeoutDuration: timeoutMs,
    [customFetch]: fetchKeys,
  });

  let closed = false;
  let timer: NodeJS.Timeout | undefined;
  let lastFailure: string | undefined;
  /** `remote.jwks()` copies the whole set each time. */
  let fetched = false;
  ops.readiness.set(part, `no keys yet from ${url}`);
  const refresh = async (): Promise<void> => {
    try {
      await remote.reload();
      fetched = true;
      if (lastFailure !== undefined) ops.log.info({ event: 'jwks_back', url }, 'JWKS fetched again');
      lastFailure = undefined;
      ops.readiness.set(part, undefined);
    } catch (error) {
      const failure = messageOf(error);
      if (lastFailure !== failure) ops.log.warn({ event: 'jwks_away', url, error }, 'JWKS could not be fetched');
      lastFailure = failure;
      if (!fetched) ops.readiness.set(part, `no keys from ${url}: ${failure}`);
    }
    if (closed) return;
    timer = setTimeout(() => void refresh(), fetched ? refreshMs : failureCooldownMs);
    timer.unref();
  };
  const first = refresh();

  return {
    async getKey(header, token) {
      const presentedAtMs = performance.now();
      try {
        if (!fetched) await first;
        return await remote(header, token);
      } catch (error) {
        const mayBeNew = error instanceof errors.JWKSNoMatchingKey && isNewer(header.kid ?? '', presentedAtMs);
        if (!mayBeNew && !isAboutTheKeySet(error) && remote.jwks()?.keys.length !== 0) throw error;
        throw new KeysUnavailableError(`keys from ${url}: ${messageOf(error)}`, error);
      }
    },
    async close() {
      closed = true;
      clearTimeout(timer);
      await first;
      clearTimeout(timer);
    },
  };

  /** Whether the key set has not been asked for since this key id was first seen: keys are published before they sign. */
  function isNewer(keyId: string, presentedAtMs: number): boolean {
    if (keyId.length > maxKeyIdLength) return false;
    const firstSeenMs = unknown.get(keyId, presentedAtMs) ?? presentedAtMs;
    unknown.set(keyId, firstSeenMs, presentedAtMs + unknownForMs);
    return firstSeenMs > askedAtMs;
  }
}

/** Whether fetching or reading the set failed, as against a token whose key is simply not in it. */
function isAboutTheKeySet(error: unknown): boolean {
  if (!(error instanceof errors.JOSEError)) return true;
  return ['ERR_JOSE_GENERIC', 'ERR_JWKS_TIMEOUT', 'ERR_JWKS_INVALID'].includes(error.code);
}

async function readBounded(response: Response, maxBytes: number): Promise<string> {
  const chunks: Uint8Array[] = [];
  let sizeBytes = 0;
  for await (const chunk of response.body ?? []) {
    sizeBytes += chunk.byteLength;
    if (sizeBytes > maxBytes) throw new Error(`more than ${maxBytes} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
