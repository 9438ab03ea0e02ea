import { formatCount } from '../shared/format.ts';

/** What stands where a number is not known: never 0. */
export const unknown = 'unknown';

const rates = new Intl.NumberFormat('en-GB', { maximumFractionDigits: 1 });

export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? unknown : formatCount(value);
}

export function rate(value: number | null | undefined): string {
  return value === null || value === undefined ? unknown : rates.format(value);
}

/** Returns `340 ms`, `1.2 s`, `12 min`, `3 h` or `2 d`. */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return unknown;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 10_000) return `${rates.format(ms / 1_000)} s`;
  if (ms < 120_000) return `${Math.round(ms / 1_000)} s`;
  if (ms < 7_200_000) return `${Math.round(ms / 60_000)} min`;
  return ms < 172_800_000 ? `${Math.round(ms / 3_600_000)} h` : `${Math.round(ms / 86_400_000)} d`;
}

export function seconds(value: number | null | undefined): string {
  return value === null || value === undefined ? unknown : duration(value * 1_000);
}

/** Returns the age in whole seconds: it is shown while it grows. */
export function age(ms: number | null): string {
  return ms === null ? unknown : ms < 120_000 ? `${Math.floor(ms / 1_000)} s` : duration(ms);
}

export function mebibytes(bytes: number | null): string {
  return bytes === null ? unknown : `${formatCount(Math.round(bytes / 1_048_576))} MiB`;
}

export function percent(share: number | null): string {
  return share === null ? unknown : `${Math.round(share * 100)} %`;
}
