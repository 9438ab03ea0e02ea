import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../dev/stack/options.ts';
import { welcome } from '../../dev/stack/welcome.ts';

const bank = { url: 'http://127.0.0.1:8080', app: join(root, 'apps/bank'), given: {} };

test('the start-up leads on to the pages, the users and one command', () => {
  assert.deepEqual(welcome(bank), [
    '  bank      http://127.0.0.1:8080/',
    '  console   http://127.0.0.1:8080/console (as operator)',
    '  GraphiQL  http://127.0.0.1:8080/graphiql',
    '  users     alice, bob, any name: the first password signs it up; operator and auditor have roles',
    '  next      npm run scale -- gateway=3 (one gateway more, while the pages are open)',
  ]);
});

test('it names nothing that is not there', () => {
  const names = (parts: Partial<typeof bank> & { given?: Record<string, string> }) =>
    welcome({ ...bank, ...parts }).map(line => line.trim().split(' ')[0]);
  assert.deepEqual(names({ app: join(root, 'examples/fleet') }), ['console', 'GraphiQL', 'users', 'next']);
  assert.deepEqual(names({ given: { PENSTOCK_SITE_GRAPHIQL: 'false' } }), ['bank', 'console', 'users', 'next']);
  assert.deepEqual(names({ given: { PENSTOCK_SITE_FOLDER: '/elsewhere' } }), ['users', 'next']);
  assert.deepEqual(names({ given: { PENSTOCK_AUTH_LOCAL_SIGN_UP: 'false' } }), ['bank', 'console', 'GraphiQL', 'next']);
});
