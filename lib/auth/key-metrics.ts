import { Gauge, type Registry } from 'prom-client';
import type { KeyUse } from './key-ids.ts';
import type { KeySchedule, KeyTimes } from './key-schedule.ts';

/** When a use's newest key has to be replaced, and when it signs no more; s since the epoch, by this process's clock. */
export interface KeyEnds {
  use: KeyUse;
  rotationSeconds: number;
  expirySeconds: number;
}

/** @param clockOffsetMs how far the clock of the keys' times is ahead of this process's. */
export function newestEnds(
  keys: readonly (KeyTimes & { use: KeyUse })[],
  { rotationMs, graceMs }: KeySchedule,
  clockOffsetMs: number,
): KeyEnds[] {
  const newest = new Map<KeyUse, number>();
  for (const { use, signsFromMs } of keys) newest.set(use, Math.max(newest.get(use) ?? signsFromMs, signsFromMs));
  return [...newest].map(([use, signsFromMs]) => {
    const rotationSeconds = (signsFromMs + rotationMs - clockOffsetMs) / 1_000;
    return { use, rotationSeconds, expirySeconds: rotationSeconds + graceMs / 1_000 };
  });
}

/** Adds the gauges of when the signing keys have to be replaced, and when they end. */
export function gaugeSigningKeys(registry: Registry, ends: () => readonly KeyEnds[]): void {
  const gauge = (name: string, help: string, value: (of: KeyEnds) => number) =>
    new Gauge({
      name,
      help,
      labelNames: ['use'],
      registers: [registry],
      collect() {
        for (const one of ends()) this.set({ use: one.use }, value(one));
      },
    });
  gauge(
    'penstock_auth_signing_key_rotation_timestamp_seconds',
    'When the newest signing key of this use has to be replaced, s since the epoch: its successor is made before that',
    ({ rotationSeconds }) => rotationSeconds,
  );
  gauge(
    'penstock_auth_signing_key_expiry_timestamp_seconds',
    'When the newest signing key of this use signs no more, s since the epoch',
    ({ expirySeconds }) => expirySeconds,
  );
}
