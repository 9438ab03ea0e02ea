import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { z } from 'zod';
import { ConfigError, type ConfigOf, env, readConfig, secretFilesOf, type Variable } from '../../../lib/ops/config.ts';

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

const folder = mkdtempSync(join(tmpdir(), 'penstock-config-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const withSecret = {
  postgres: { url: { schema: env.url(), doc: 'PostgreSQL', secret: true } satisfies Variable<string> },
};

test('a secret may be in a file, and is what the file holds when it is read again', () => {
  const path = join(folder, 'url');
  writeFileSync(path, 'postgres://first\n');
  const config = readConfig(withSecret, ['postgres'], { PENSTOCK_POSTGRES_URL_FILE: path });
  assert.equal(config.postgres.url, 'postgres://first');
  const [file] = secretFilesOf(config);
  assert.equal(file?.read(), 'unchanged');
  writeFileSync(path, 'postgres://second');
  assert.equal(file?.read(), 'changed');
  assert.equal(config.postgres.url, 'postgres://second');
});

test('a file that can no longer be used leaves the secret as it was', () => {
  const path = join(folder, 'fading');
  writeFileSync(path, 'postgres://kept');
  const config = readConfig(withSecret, ['postgres'], { PENSTOCK_POSTGRES_URL_FILE: path });
  const [file] = secretFilesOf(config);
  for (const spoil of [() => writeFileSync(path, 'no URL'), () => writeFileSync(path, ''), () => rmSync(path)]) {
    spoil();
    assert.ok(typeof file?.read() === 'object');
    assert.equal(config.postgres.url, 'postgres://kept');
  }
});

test('a file that is not there, or beside the variable itself, is refused by the name of its variable', () => {
  const path = join(folder, 'beside');
  writeFileSync(path, 'postgres://file');
  const problems = (given: Record<string, string>) => {
    try {
      readConfig(withSecret, ['postgres'], given);
    } catch (error) {
      if (error instanceof ConfigError) return error.problems.join();
      throw error;
    }
    return '';
  };
  assert.match(problems({ PENSTOCK_POSTGRES_URL_FILE: join(folder, 'none') }), /^PENSTOCK_POSTGRES_URL_FILE: can't be/);
  const both = { PENSTOCK_POSTGRES_URL_FILE: path, PENSTOCK_POSTGRES_URL: 'postgres://text' };
  assert.match(problems(both), /^PENSTOCK_POSTGRES_URL_FILE: PENSTOCK_POSTGRES_URL is set as well/);
});

test('a file whose path follows a dash may be absent', () => {
  const path = join(folder, 'ca.pem');
  const optional = { kafka: { tlsCaFile: { schema: env.file(), doc: 'the authority' } } };
  const read = () => readConfig(optional, ['kafka'], { PENSTOCK_KAFKA_TLS_CA_FILE: `-${path}` }).kafka.tlsCaFile;
  assert.equal(read(), undefined);
  writeFileSync(path, 'PEM');
  assert.equal(read(), path);
});
