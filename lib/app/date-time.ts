/**
 * Instants as the whole project writes them: RFC 3339 in UTC with milliseconds, `2026-07-31T10:00:00.000Z`. All have 24
 * characters, so that they sort as text in the order of time. Years 0001 to 9999, which RFC 3339 can write and
 * PostgreSQL can keep.
 */

const earliestMs = Date.parse('0001-01-01T00:00:00.000Z');
const latestMs = Date.parse('9999-12-31T23:59:59.999Z');

const rfc3339 = /^(\d{4})-(\d\d)-(\d\d)[Tt](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:[Zz]|([+-])(\d\d):(\d\d))$/;

/**
 * The canonical form of an RFC 3339 string, or undefined where it is none. Digits beyond the millisecond are cut off;
 * a leap second (23:59:60 UTC) is the second after it.
 */
export function canonicalDateTime(text: string): string | undefined {
  if (isCanonical(text)) return text;
  const match = rfc3339.exec(text);
  if (!match) return undefined;
  const [, year, month, day, hour, minute, second, fraction = '', sign, offsetHour = '0', offsetMinute = '0'] = match;
  if (!isDay(Number(year), Number(month), Number(day))) return undefined;
  if (Number(hour) > 23 || Number(minute) > 59 || Number(second) > 60) return undefined;
  if (Number(offsetHour) > 23 || Number(offsetMinute) > 59) return undefined;
  const offsetMs = (Number(offsetHour) * 60 + Number(offsetMinute)) * 60_000 * (sign === '-' ? -1 : 1);
  const wholeMs = Date.parse(`${year}-${month}-${day}T${hour}:${minute}:00.000Z`) + Number(second) * 1_000 - offsetMs;
  if (second === '60' && wholeMs % 86_400_000 !== 0) return undefined;
  return dateTimeOf(wholeMs + Number(`${fraction}000`.slice(0, 3)));
}

/** The canonical form of milliseconds since 1970, or undefined where they are no whole number or out of range. */
export function dateTimeOf(epochMs: number): string | undefined {
  if (!Number.isSafeInteger(epochMs) || epochMs < earliestMs || epochMs > latestMs) return undefined;
  return new Date(epochMs).toISOString();
}

/** The hot path: by far most values are canonical already and need neither a match nor a Date. */
function isCanonical(text: string): boolean {
  if (text.length !== 24) return false;
  if (text.charCodeAt(4) !== 45 || text.charCodeAt(7) !== 45 || text.charCodeAt(10) !== 84) return false;
  if (text.charCodeAt(13) !== 58 || text.charCodeAt(16) !== 58) return false;
  if (text.charCodeAt(19) !== 46 || text.charCodeAt(23) !== 90) return false;
  const year = two(text, 0) * 100 + two(text, 2);
  // Comparisons with NaN are false, so whatever is no digit fails here.
  if (!(year >= 1 && two(text, 11) <= 23 && two(text, 14) <= 59 && two(text, 17) <= 59)) return false;
  if (!(two(text, 20) >= 0 && digit(text, 22) >= 0)) return false;
  return isDay(year, two(text, 5), two(text, 8));
}

function isDay(year: number, month: number, day: number): boolean {
  return month >= 1 && month <= 12 && day >= 1 && day <= (day <= 28 ? 28 : daysOf(year, month));
}

function daysOf(year: number, month: number): number {
  if (month === 2) return (year % 4 === 0 && year % 100 !== 0) || year % 400 === 0 ? 29 : 28;
  return month === 4 || month === 6 || month === 9 || month === 11 ? 30 : 31;
}

function two(text: string, at: number): number {
  return digit(text, at) * 10 + digit(text, at + 1);
}

function digit(text: string, at: number): number {
  const code = text.charCodeAt(at) - 48;
  return code >= 0 && code <= 9 ? code : Number.NaN;
}
