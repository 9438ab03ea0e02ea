import assert from 'node:assert/strict';
import { test } from 'node:test';
import { compileApp } from '../../lib/app/index.ts';
import { refused, render, withoutHelm as skip } from '../support/chart.ts';
import { helm, oldestHelm } from '../support/tools/helm.ts';

const examples = ['values-bank.yaml', 'values-ha.yaml', 'values-strangers-topic.yaml'];

test('the example values render, with the oldest Helm as with the newest', { skip }, async () => {
  for (const file of examples) {
    const [old, current] = [await render(file, oldestHelm), await render(file, helm)];
    assert.deepEqual(old.objects, current.objects, file);
  }
});

test('the example for a topic of somebody else is a schema that compiles, and creates nothing', { skip }, async () => {
  const chart = await render('values-strangers-topic.yaml');
  const body = chart.one('ConfigMap', 'shop-penstock-app').data['schema.graphql'] as string;
  const plan = await compileApp({ name: 'values-strangers-topic.yaml', body });
  assert.deepEqual([...plan.streams.keys()], ['parcels', 'allParcels']);
  assert.deepEqual(
    chart.all('Deployment').map(({ metadata }) => metadata.name),
    ['shop-penstock-gateway', 'shop-penstock-router'],
  );
  assert.deepEqual(
    chart.all('Job').map(({ metadata }) => metadata.name),
    ['shop-penstock-migrate'],
  );
});

test('every value that is promised is known', { skip }, async () => {
  const pods = {
    ...{ replicas: 3, env: [{ name: 'A', value: 'b' }], podAnnotations: { a: 'b' }, podLabels: { a: 'b' } },
    ...{ resources: {}, priorityClassName: 'p', nodeSelector: { a: 'b' }, tolerations: [{ operator: 'Exists' }] },
    ...{ affinity: { nodeAffinity: {} }, topologySpreadConstraints: [], terminationGracePeriodSeconds: 60 },
    podDisruptionBudget: { enabled: true, maxUnavailable: '50%' },
  };
  const scaling = { enabled: true, minReplicas: 2, maxReplicas: 4, behavior: {} };
  const cpu = { ...scaling, targetCPUUtilizationPercentage: 50 };
  await render({
    global: { imageRegistry: 'r' },
    image: {
      registry: 'r',
      repository: 'p',
      tag: 't',
      digest: `sha256:${'0'.repeat(64)}`,
      pullPolicy: 'Always',
      pullSecrets: [],
    },
    serviceAccount: { create: true, name: 'n', annotations: { a: 'b' } },
    app: { schema: '', existingConfigMap: '', folder: '', bundled: 'bank' },
    kafka: {
      ...{ brokers: ['a:1', 'b:2'], partitions: 48, createTopics: true, replicationFactor: 3 },
      tls: { enabled: true, existingSecret: 's', secretKeys: { ca: 'a', cert: 'b', key: 'c' } },
      sasl: { mechanism: 'scram-sha-512', existingSecret: 's', secretKeys: { username: 'a', password: 'b' } },
    },
    redis: { url: '', existingSecret: 's', secretKeys: { url: 'a', ca: 'b' } },
    postgres: { existingSecret: 's', secretKeys: { url: 'a', ca: 'b' } },
    cursor: { existingSecret: 's', secretKeys: { secrets: 'a' } },
    auth: {
      ...{ issuer: 'https://i', audience: 'a', jwksUrl: 'https://j', local: { signUp: false, roles: { a: ['b'] } } },
      ...{ existingSecret: '', secretKeys: { keySecrets: 'a' } },
    },
    internalTls: { existingSecret: '', secretKeys: { ca: 'a', cert: 'b', key: 'c' } },
    registry: { url: '', existingSecret: '', secretKeys: { username: 'a', password: 'b', ca: 'c' } },
    gateway: { ...pods, autoscaling: { ...cpu, targetConnections: 5 } },
    router: { ...pods, trustedProxies: ['10.0.0.0/8'], autoscaling: cpu },
    commandHandler: { ...pods, enabled: true, autoscaling: { ...scaling, targetLagRecords: 5 } },
    projector: { ...pods, enabled: true },
    ingress: { enabled: true, className: 'c', annotations: { a: 'b' }, hosts: ['h'], tls: [{ hosts: ['h'] }] },
    httpRoute: { enabled: true, parentRefs: [{ name: 'g' }], hostnames: ['h'] },
    networkPolicy: { enabled: true },
    monitoring: { podMonitor: { enabled: true } },
    tests: { tokenSecret: 's' },
    extraObjects: [{ apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: '{{ .Release.Name }}-extra' } }],
  });
});

test('a value that does not exist, or is of another type, is refused', { skip }, async () => {
  await refused({ gatewey: {} }, /gatewey/);
  await refused({ gateway: { replica: 1 } }, /replica/);
  await refused({ gateway: { replicas: 'two' } }, /replicas/);
  await refused({ kafka: { brokers: ['kafka'] } }, /brokers/);
  await refused({ image: { digest: 'sha256:1' } }, /digest/);
});

test('values that contradict each other are refused, with what to do', { skip }, async () => {
  await refused({ app: {} }, /exactly one of app\.schema.*none is set/);
  await refused({ app: { bundled: 'bank', folder: '/app/own' } }, /set are app\.folder, app\.bundled/);
  await refused({ postgres: {} }, /postgres\.existingSecret is required/);
  await refused({ cursor: {} }, /cursor\.existingSecret is required/);
  await refused({ redis: {} }, /set redis\.url, or redis\.existingSecret/);
  await refused({ kafka: { brokers: ['k:1'], sasl: { mechanism: 'plain' } } }, /needs kafka\.sasl\.existingSecret/);
  await refused({ auth: { issuer: 'https://other' } }, /needs auth\.jwksUrl/);
  await refused({ httpRoute: { enabled: true } }, /needs httpRoute\.parentRefs/);
  await refused({ ingress: { enabled: true } }, /needs ingress\.hosts/);
  await refused(
    { gateway: { terminationGracePeriodSeconds: 25 } },
    /gateway\.terminationGracePeriodSeconds is 25 and must exceed/,
  );
});

test('a value whose variable the services do not know yet is refused, and not ignored', { skip }, async () => {
  const values = {
    auth: { existingSecret: 's' },
    internalTls: { existingSecret: 's' },
    registry: { url: 'http://r' },
  };
  for (const [name, value] of Object.entries(values)) {
    await refused({ [name]: value }, new RegExp(`${name}\\.\\w+ is not in this version yet`));
  }
});
