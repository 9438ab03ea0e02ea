/** The pages are in English, and so are their numbers and times, whatever the browser's language: labels and amounts fit each other. */
const locale = 'en-GB';

const euros = new Intl.NumberFormat(locale, { style: 'currency', currency: 'EUR' });
const counts = new Intl.NumberFormat(locale);
const times = new Intl.DateTimeFormat(locale, { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const days = new Intl.DateTimeFormat(locale, { day: 'numeric', month: 'short' });

/**
 * Returns `1234` as `€ 12.34`, and `-5` as `-€ 0.05`.
 * @param cents whole cents. They go to Intl as text, so that no amount becomes a binary fraction.
 */
export function formatCents(cents: number): string {
  const digits = String(Math.abs(cents)).padStart(3, '0');
  const text = `${cents < 0 ? '-' : ''}${digits.slice(0, -2)}.${digits.slice(-2)}`;
  return euros
    .formatToParts(text as Intl.StringNumericLiteral)
    .map(({ type, value }) => (type === 'currency' ? `${value} ` : value))
    .join('');
}

/** Returns an amount with its sign in front, also where it is positive: `+€ 12.34`. */
export function formatChange(cents: number): string {
  return `${cents > 0 ? '+' : ''}${formatCents(cents)}`;
}

/** Returns the whole cents of `12.34`, `12,34`, `12.3`, `-12` or `€ 12`; undefined for anything else, and for what cannot be counted exactly. */
export function parseCents(text: string): number | undefined {
  const match = /^(?:€\s*)?(-?)(\d{1,13})(?:[.,](\d{1,2}))?$/.exec(text.trim());
  if (match === null) return undefined;
  const [, sign, whole = '', fraction = ''] = match;
  const cents = Number(whole + fraction.padEnd(2, '0'));
  return sign === '-' && cents > 0 ? -cents : cents;
}

/** Returns a count with its thousands apart: `1,234`. */
export function formatCount(count: number): string {
  return counts.format(count);
}

/** Returns the time of day, as `14:03:27`. */
export function formatTime(time: Date | number | string): string {
  return times.format(new Date(time));
}

/** Returns the day, as `30 Nov`. */
export function formatDay(time: Date | number | string): string {
  return days.format(new Date(time));
}

/** Returns a duration as `0.4 s`, `12 s` or `3 min`. */
export function formatDuration(durationMs: number): string {
  if (durationMs < 10_000) return `${(Math.round(durationMs / 100) / 10).toFixed(1)} s`;
  return durationMs < 120_000 ? `${Math.round(durationMs / 1_000)} s` : `${Math.round(durationMs / 60_000)} min`;
}
