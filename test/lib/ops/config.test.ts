import assert from 'node:assert/strict';
import { test } from 'node:test';
import { z } from 'zod';
import { ConfigError, type ConfigOf, env, readConfig, type Variable } from '../../../lib/ops/config.ts';

const port: Variable<number> = { schema: env.integer(0, 65_535).default(0), doc: 'a port' };
const brokers: Variable<string[]> = { schema: env.list(), doc: 'the brokers' };
const roles: Variable<Record<string, string[]>> = {
  schema: env.json(z.record(z.string(), z.array(z.string()))).default({}),
  doc: 'roles',
};
const schema: Variable<string> = { schema: env.text(), doc: 'the schema', name: 'PENSTOCK_SCHEMA' };
const catalogue = { admin: { listenPort: port }, kafka: { brokers, roles }, app: { schema } };

function problemsOf(read: () => ConfigOf<typeof catalogue, 'admin'>): readonly string[] {
  try {
    read();
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

test('variables are named by section and key, parsed, and default where absent or empty', () => {
  const config = readConfig(catalogue, ['admin', 'kafka', 'app'], {
    PENSTOCK_KAFKA_BROKERS: 'a:1, b:2',
    PENSTOCK_KAFKA_ROLES: '{"auditor":["auditor"]}',
    PENSTOCK_SCHEMA: 'schema.graphql',
    PENSTOCK_ADMIN_LISTEN_PORT: '',
    PATH: '/bin',
  });
  assert.deepEqual(config, {
    admin: { listenPort: 0 },
    kafka: { brokers: ['a:1', 'b:2'], roles: { auditor: ['auditor'] } },
    app: { schema: 'schema.graphql' },
  });
});

test('every bad, missing and unknown variable is named at once', () => {
  const problems = problemsOf(() =>
    readConfig(catalogue, ['admin', 'kafka', 'app'], {
      PENSTOCK_ADMIN_LISTEN_PORT: '70000',
      PENSTOCK_KAFKA_ROLES: '{',
      PENSTOCK_TYPO: '1',
      PENSTOCK_ADMIN_SERVICE_HOST: 'x',
    }),
  );
  assert.deepEqual(
    problems.map(problem => problem.split(':')[0]),
    [
      'PENSTOCK_ADMIN_SERVICE_HOST',
      'PENSTOCK_TYPO',
      'PENSTOCK_ADMIN_LISTEN_PORT',
      'PENSTOCK_KAFKA_BROKERS',
      'PENSTOCK_KAFKA_ROLES',
      'PENSTOCK_SCHEMA',
    ],
  );
});

test("another service's variable is neither refused nor checked", () => {
  const config = readConfig(catalogue, ['admin'], { PENSTOCK_KAFKA_ROLES: 'not JSON' });
  assert.deepEqual(config, { admin: { listenPort: 0 } });
});
