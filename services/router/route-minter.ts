import { BoundedMap, type Caller, type KeyStore, type SignedToken } from '../../lib/auth/index.ts';

export interface RouteMinter {
  /** A route token for this caller and partition, for use inside the router: one is used again for up to 30 s. */
  mint(caller: Caller, partition: number, epoch: number): Promise<string>;
}

const reuseMs = 30_000;

/** @param maxTokens how many are remembered. */
export function openRouteMinter(keys: Pick<KeyStore, 'signRoute'>, maxTokens = 10_000): RouteMinter {
  const minted = new BoundedMap<Promise<SignedToken>>(maxTokens);
  return {
    async mint({ userKey, accessTokenHash, expiresAtMs }, partition, epoch) {
      const key = `${accessTokenHash}/${partition}/${epoch}`;
      const nowMs = Date.now();
      const known = minted.get(key, nowMs);
      if (known !== undefined) return (await known).token;
      const signing = keys.signRoute({ userKey, accessTokenHash, partition, epoch, notAfterMs: expiresAtMs });
      minted.set(key, signing, Math.min(nowMs + reuseMs, expiresAtMs));
      const signed = await signing.catch((error: unknown) => {
        minted.delete(key);
        throw error;
      });
      // A configured life of less than a minute must be over before it is half used up.
      minted.set(key, signing, Math.min(nowMs + reuseMs, nowMs + (signed.expiresAtMs - nowMs) / 2));
      return signed.token;
    },
  };
}
