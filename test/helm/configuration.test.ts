import assert from 'node:assert/strict';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, before, test } from 'node:test';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { type Chart, type Rendered, render, withoutHelm as skip, type Values } from '../support/chart.ts';

type Section = keyof typeof catalogue;
const common: Section[] = ['log', 'drain', 'watchdog', 'admin', 'app', 'kafka', 'postgres', 'ownership'];
/** What each program reads; `main.ts` of each says the same. */
const sections: Readonly<Record<string, Section[]>> = {
  gateway: [...common, 'http', 'redis', 'auth', 'route', 'gateway', 'cursor', 'replay'],
  router: [...common, 'http', 'redis', 'auth', 'login', 'route', 'gateway'],
  'command-handler': [...common, 'handler'],
  projector: [...common, 'projector'],
  setup: ['app', 'kafka', 'postgres', 'projector'],
};

const secure: Values = {
  kafka: {
    ...{ brokers: ['a:1', 'b:2'], partitions: 12, createTopics: true },
    tls: { existingSecret: 'kafka-client' },
    sasl: { mechanism: 'SCRAM-SHA-512', existingSecret: 'kafka-user', secretKeys: { username: 'user' } },
  },
  redis: { existingSecret: 'redis' },
  router: { trustedProxies: ['10.0.0.0/8', '::1'], allowedOrigins: ['https://a.example', 'https://b.example'] },
  auth: { local: { signUp: true, roles: { ann: ['auditor'] } } },
};

/** The files of the Secrets, by the mounted path. */
const files: Readonly<Record<string, string>> = {
  'kafka-tls/ca.crt': 'a',
  'kafka-tls/tls.crt': 'b',
  'kafka-tls/tls.key': 'c',
  'kafka-sasl/user': 'alice',
  'kafka-sasl/password': 'secret',
  'postgres/url': 'postgres://u:p@postgres/d',
  'redis/url': 'rediss://:p@redis:6380',
  'redis/ca.crt': 'd',
  'cursor/secrets': `k1:${Buffer.alloc(32, 7).toString('base64')}`,
};

let folder: string;
before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-mounts-'));
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  }
});
after(() => rm(folder, { recursive: true }));

/** Reads a container's environment as the program in it does, from files that stand in for the mounted ones. */
function configOf(program: string, maker: Rendered) {
  const [container] = maker.spec.template.spec.containers;
  const env = Object.fromEntries(
    container.env.map(({ name, value = '192.0.2.1' }: { name: string; value?: string }) => [
      name,
      value.replace('/etc/penstock', folder).replaceAll('$(POD_IP)', '192.0.2.1'),
    ]),
  );
  return readConfig(catalogue, sections[program] ?? [], env);
}

const makersOf = (chart: Chart): [string, Rendered][] => [
  ...chart
    .all('Deployment')
    .map((each): [string, Rendered] => [each.metadata.name.replace('shop-penstock-', ''), each]),
  ...chart.all('Job').map((each): [string, Rendered] => ['setup', each]),
];

test('every program takes the configuration that the chart gives it', { skip }, async () => {
  const makers = makersOf(await render(secure));
  assert.equal(makers.length, 6);
  for (const [program, maker] of makers) {
    const { kafka, postgres } = configOf(program, maker);
    assert.deepEqual(kafka.brokers, ['a:1', 'b:2']);
    assert.deepEqual(
      [kafka.saslMechanism, kafka.saslUsername, kafka.saslPassword],
      ['scram-sha-512', 'alice', 'secret'],
    );
    assert.deepEqual(
      [kafka.tlsCaFile, kafka.tlsKeyFile],
      [join(folder, 'kafka-tls/ca.crt'), join(folder, 'kafka-tls/tls.key')],
    );
    assert.equal(postgres.url, files['postgres/url']);
    assert.equal(postgres.tlsCaFile, undefined, 'a key that the Secret does not have is left out');
  }
  const router = configOf('router', (await render(secure)).one('Deployment', 'shop-penstock-router'));
  assert.equal(router.redis.url, files['redis/url']);
  assert.deepEqual(router.route.trustedProxies, ['10.0.0.0/8', '::1']);
  assert.deepEqual(router.http.allowedOrigins, ['https://a.example', 'https://b.example']);
  assert.deepEqual([router.auth.localSignUp, router.auth.localRoles], [true, { ann: ['auditor'] }]);
  for (const [program, maker] of makersOf(await render({}))) configOf(program, maker);
});

test('each Secret is mounted as files, read-only, where a variable names one of them', { skip }, async () => {
  for (const [program, maker] of makersOf(await render(secure))) {
    const pod = maker.spec.template.spec;
    const [container] = pod.containers;
    const mounts = new Map<string, string>(
      container.volumeMounts.map(({ name, mountPath }: { name: string; mountPath: string }) => [mountPath, name]),
    );
    for (const { name, value, valueFrom } of container.env) {
      assert.equal(valueFrom?.secretKeyRef, undefined, `${program}: ${name} would not be read again`);
      // A file elsewhere is one that the program writes.
      if (!/_FILE$/.test(name) || !/^-?\/etc\/penstock\//.test(value)) continue;
      const volume = mounts.get(dirname(value.replace(/^-/, '')));
      const { secret } = pod.volumes.find((each: { name: string }) => each.name === volume);
      assert.equal(secret.defaultMode, 0o440, `${program}: ${name}`);
    }
    for (const mount of container.volumeMounts) {
      assert.equal(mount.subPath, undefined, 'a subPath is never updated');
      assert.equal(mount.readOnly === true, mount.name !== 'tmp');
    }
  }
});

test('Kafka of a public authority is reached with TLS and without a Secret', { skip }, async () => {
  const chart = await render({ kafka: { brokers: ['k:9093'], tls: { enabled: true } } });
  assert.equal(configOf('projector', chart.one('Deployment', 'shop-penstock-projector')).kafka.tls, true);
});

test('a variable that is given goes before that of the chart, and stands there once', { skip }, async () => {
  const url = 'postgres://u:p@postgres/other';
  const env = [
    { name: 'PENSTOCK_POSTGRES_URL', value: url },
    { name: 'PENSTOCK_LOG_LEVEL', value: 'debug' },
    { name: 'PENSTOCK_DRAIN_TIMEOUT_MS', value: '1000' },
  ];
  const chart = await render({ gateway: { env } });
  const gateway = chart.one('Deployment', 'shop-penstock-gateway');
  const names = gateway.spec.template.spec.containers[0].env.map(({ name }: { name: string }) => name);
  assert.equal(new Set(names).size, names.length);
  const config = configOf('gateway', gateway);
  assert.deepEqual([config.postgres.url, config.log.level, config.drain.timeoutMs], [url, 'debug', 1_000]);
});

test('the app comes from values, a ConfigMap, a folder of the image, or is the bank', { skip }, async () => {
  const appOf = async (app: object, component: string) => {
    const pod = (await render({ app })).one('Deployment', `shop-penstock-${component}`).spec.template.spec;
    const volume = pod.volumes.find(({ name }: { name: string }) => name === 'app')?.configMap.name;
    const value = (name: string) => pod.containers[0].env.find((each: { name: string }) => each.name === name)?.value;
    return [volume, value('PENSTOCK_SCHEMA'), value('PENSTOCK_APP_FOLDER')];
  };
  const mounted = '/etc/penstock/app/schema.graphql';
  assert.deepEqual(await appOf({ schema: 'type Query { _: Boolean }' }, 'gateway'), [
    'shop-penstock-app',
    mounted,
    undefined,
  ]);
  assert.deepEqual(await appOf({ existingConfigMap: 'own' }, 'command-handler'), ['own', mounted, '/etc/penstock/app']);
  assert.deepEqual(await appOf({ folder: '/app/own' }, 'command-handler'), [
    undefined,
    '/app/own/schema.graphql',
    '/app/own',
  ]);
  assert.deepEqual(await appOf({ bundled: 'bank' }, 'projector'), [
    undefined,
    '/app/apps/bank/schema.graphql',
    undefined,
  ]);
});
