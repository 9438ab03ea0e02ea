import pg from 'pg';

const int8 = 20;
const timestamptz = 1184;

/**
 * How the values of views come out of PostgreSQL, in a session whose time zone is UTC: bigint as number (all of ours are
 * safe), instants as canonical text, the rest as the driver has it.
 */
export const viewTypes = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): (text: string) => unknown {
    if (format === 'binary') return pg.types.getTypeParser(oid, format);
    if (oid === int8) return Number;
    return oid === timestamptz ? canonicalInstant : pg.types.getTypeParser(oid, 'text');
  },
};

/** `2026-07-31 10:00:00.12+00`, as PostgreSQL writes it in UTC → `2026-07-31T10:00:00.120Z`. */
function canonicalInstant(text: string): string {
  const [day = '', time = ''] = text.replace(/\+00$/, '').split(' ');
  const [whole = '', fraction = ''] = time.split('.');
  return `${day}T${whole}.${fraction.padEnd(3, '0')}Z`;
}
