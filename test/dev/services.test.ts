import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { penstockVariables, plainEnvironment } from '../../dev/stack/environment.ts';
import { root } from '../../dev/stack/options.ts';
import { refusePerProcess, type ServiceContext, serviceVariables } from '../../dev/stack/services.ts';
import { catalogue, readConfig } from '../../lib/ops/index.ts';

const context: ServiceContext = {
  addresses: {
    kafka: ['127.0.0.1:1', '127.0.0.1:2'],
    kafkaCaFile: undefined,
    redis: 'redis://127.0.0.1:3',
    postgres: 'postgres://postgres@127.0.0.1:4/penstock',
  },
  brokers: 3,
  partitions: () => 24,
  publicPort: 8_080,
  app: join(root, 'apps/bank'),
  siteFolder: join(root, 'dist/web'),
  cursorSecrets: `k1:${Buffer.alloc(32, 1).toString('base64')}`,
  given: {},
  env: {},
};

test('every service accepts the environment that it is given', () => {
  const sections = Object.keys(catalogue) as (keyof typeof catalogue)[];
  for (const service of ['router', 'gateway', 'command-handler', 'projector'] as const) {
    const variables = serviceVariables(service, { admin: 5, http: 6 }, context);
    const config = readConfig(catalogue, sections, variables);
    assert.deepEqual(config.kafka.brokers, ['127.0.0.1:1', '127.0.0.1:2']);
    assert.equal(config.kafka.replicationFactor, 3);
    assert.equal(config.admin.port, 5);
    assert.deepEqual(config.auth.localRoles, { auditor: ['auditor'], operator: ['operator', 'auditor'] });
  }
});

test('a router serves its own address and the public one, a gateway its own', () => {
  const listen = (service: 'router' | 'gateway') =>
    serviceVariables(service, { admin: 5, http: 6 }, context).PENSTOCK_HTTP_LISTEN;
  assert.equal(listen('router'), '127.0.0.1:6,127.0.0.1:8080');
  assert.equal(listen('gateway'), '127.0.0.1:6');
});

test('with TLS, services are told whom to trust', () => {
  const tls = { ...context, addresses: { ...context.addresses, kafkaCaFile: '/ca.pem' } };
  assert.equal(serviceVariables('projector', { admin: 5, http: undefined }, tls).PENSTOCK_KAFKA_TLS_CA_FILE, '/ca.pem');
});

test('what the user sets wins over what the stack would set, but for the ports', () => {
  const given = penstockVariables({ PENSTOCK_AUTH_LOCAL_SIGN_UP: 'false', PENSTOCK_LOG_LEVEL: 'debug', HOME: '/root' });
  const variables = serviceVariables('router', { admin: 5, http: 6 }, { ...context, given });
  assert.equal(variables.PENSTOCK_AUTH_LOCAL_SIGN_UP, 'false');
  assert.equal(variables.PENSTOCK_LOG_LEVEL, 'debug');
  assert.throws(() => refusePerProcess({ PENSTOCK_ADMIN_PORT: '1' }), {
    name: 'Trouble',
    message: /PENSTOCK_ADMIN_PORT/,
  });
});

test('each process has a name in the console, and routers alone are told where the local stack takes orders', () => {
  const control = 'http://127.0.0.1:7/secret/kill';
  const variables = (service: 'router' | 'gateway') =>
    serviceVariables(service, { name: `${service}-0`, admin: 5, http: 6 }, { ...context, control });
  assert.equal(variables('gateway').PENSTOCK_FLEET_INSTANCE, 'gateway-0');
  assert.equal(variables('gateway').PENSTOCK_CONSOLE_LOCAL_CONTROL, undefined);
  assert.equal(variables('router').PENSTOCK_CONSOLE_LOCAL_CONTROL, control);
  for (const name of ['PENSTOCK_FLEET_INSTANCE', 'PENSTOCK_CONSOLE_LOCAL_CONTROL']) {
    assert.throws(() => refusePerProcess({ [name]: 'x' }), { name: 'Trouble', message: new RegExp(name) });
  }
});

test("an empty variable is one that is not set, but for the fleet's topic, which it turns off", () => {
  const given = penstockVariables({ PENSTOCK_FLEET_TOPIC: '', PENSTOCK_LOG_LEVEL: '' });
  assert.deepEqual(given, { PENSTOCK_FLEET_TOPIC: '' });
  assert.equal(readConfig(catalogue, ['fleet'], given).fleet.topic, '');
  assert.equal(readConfig(catalogue, ['fleet'], {}).fleet.topic, 'penstock_fleet');
});

test('orders of the console come from loopback alone', () => {
  const control = (url: string) => readConfig(catalogue, ['console'], { PENSTOCK_CONSOLE_LOCAL_CONTROL: url });
  assert.equal(control('http://127.0.0.1:7/kill').console.localControl, 'http://127.0.0.1:7/kill');
  for (const url of ['http://gateway:7/kill', 'http://127.0.0.1.example/kill', 'https://127.0.0.1/kill']) {
    assert.throws(() => control(url), /must be on loopback/);
  }
});

test('a variable that no service knows is refused, all such at once', () => {
  assert.throws(() => penstockVariables({ PENSTOCK_KAFKA_BROKER: 'x', PENSTOCK_A: '1' }), {
    name: 'Trouble',
    message: 'unknown: PENSTOCK_A, PENSTOCK_KAFKA_BROKER; see docs/configuration.md',
  });
});

test("nothing of npm's or of a test runner's reaches servers and services", () => {
  const env = {
    PATH: '/bin',
    npm_config_x: '1',
    NODE_TEST_CONTEXT: 'child',
    TEST_KAFKA: 'x',
    PENSTOCK_X: '1',
    INIT_CWD: '/',
  };
  assert.deepEqual(plainEnvironment(env), { PATH: '/bin' });
});

test('a mutant is handed on to services, and only then what node is told', () => {
  const env = { PATH: '/bin', TEST_MUTANT: '{}', NODE_OPTIONS: '--import=x', TEST_KAFKA: 'y' };
  assert.deepEqual(plainEnvironment(env), { PATH: '/bin', TEST_MUTANT: '{}', NODE_OPTIONS: '--import=x' });
});
