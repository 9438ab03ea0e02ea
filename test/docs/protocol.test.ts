import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { closeCodes, errorCatalogue } from '../../lib/errors.ts';

const page = readFileSync(new URL('../../docs/protocol.md', import.meta.url), 'utf8');

test('the protocol page tells every error code as it is in the catalogue', () => {
  const rows = Object.entries(errorCatalogue).map(
    ([code, { meaning, retry, httpStatus }]) => `| \`${code}\` | ${meaning} | ${retry} | ${httpStatus} |`,
  );
  const begin = page.indexOf(rows[0] ?? '');
  assert.equal(page.slice(begin, begin + rows.join('\n').length), rows.join('\n'));
});

test('the protocol page tells every close code of ours', () => {
  for (const code of Object.values(closeCodes)) assert.match(page, new RegExp(`^\\| ${code} \\|`, 'm'));
});
