import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rendered, render, withoutHelm as skip } from '../support/chart.ts';

const deployments = ['gateway', 'router', 'command-handler', 'projector'].map(name => `shop-penstock-${name}`);

/** The Pods of an object that makes such, or the object that is one. */
const podOf = ({ kind, spec }: Rendered) => (kind === 'Pod' ? spec : spec.template.spec);

test('a rollout takes no replica away before its successor is ready, and gives each time to drain', {
  skip,
}, async () => {
  const chart = await render({});
  for (const name of deployments) {
    const { spec } = chart.one('Deployment', name);
    assert.deepEqual(spec.strategy, { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } });
    const pod = spec.template.spec;
    const [container] = pod.containers;
    const drainMs = container.env.find((each: { name: string }) => each.name === 'PENSTOCK_DRAIN_TIMEOUT_MS').value;
    const sleepSeconds = container.lifecycle?.preStop.sleep.seconds ?? 0;
    assert.ok(pod.terminationGracePeriodSeconds > Number(drainMs) / 1_000 + sleepSeconds, name);
    for (const probe of ['startupProbe', 'livenessProbe', 'readinessProbe']) {
      assert.equal(container[probe].httpGet.port, 'admin', `${name} ${probe}`);
    }
    assert.equal(container.ports.find((port: { name: string }) => port.name === 'admin').containerPort, 9090);
    assert.equal(container.resources.limits.cpu, undefined);
    assert.ok(container.resources.requests.cpu && container.resources.requests.memory);
    assert.deepEqual(
      pod.topologySpreadConstraints.map(({ topologyKey }: { topologyKey: string }) => topologyKey),
      ['kubernetes.io/hostname', 'topology.kubernetes.io/zone'],
    );
    const budget = chart.one('PodDisruptionBudget', name).spec;
    assert.deepEqual([budget.maxUnavailable, budget.unhealthyPodEvictionPolicy], [1, 'IfHealthyBudget']);
    assert.deepEqual(budget.selector, spec.selector);
  }
  const router = podOf(chart.one('Deployment', 'shop-penstock-router')).containers[0];
  assert.deepEqual(router.lifecycle, { preStop: { sleep: { seconds: 5 } } });
});

test('all Pods keep to the restricted Pod Security Standard, without a token', { skip }, async () => {
  const chart = await render({ kafka: { brokers: ['k:1'], createTopics: true } });
  const makers = chart.objects.filter(({ kind }) => ['Deployment', 'Job', 'Pod'].includes(kind));
  assert.equal(makers.length, 7);
  for (const maker of makers) {
    const pod = podOf(maker);
    assert.equal(pod.automountServiceAccountToken, false);
    assert.equal(pod.enableServiceLinks, false);
    assert.equal(pod.securityContext.runAsNonRoot, true);
    assert.deepEqual(pod.securityContext.seccompProfile, { type: 'RuntimeDefault' });
    for (const { securityContext } of pod.containers) {
      assert.equal(securityContext.allowPrivilegeEscalation, false);
      assert.equal(securityContext.readOnlyRootFilesystem, true);
      assert.deepEqual(securityContext.capabilities, { drop: ['ALL'] });
    }
  }
  for (const account of chart.all('ServiceAccount')) assert.equal(account.automountServiceAccountToken, false);
});

test('objects are named and labelled as promised', { skip }, async () => {
  const chart = await render({});
  for (const name of deployments) {
    const { metadata, spec } = chart.one('Deployment', name);
    const labels = {
      'app.kubernetes.io/name': 'penstock',
      'app.kubernetes.io/instance': 'shop',
      'app.kubernetes.io/component': name.replace('shop-penstock-', ''),
    };
    assert.deepEqual(spec.selector.matchLabels, labels);
    for (const [label, value] of Object.entries({ ...labels, 'app.kubernetes.io/version': '0.1.0' })) {
      assert.equal(metadata.labels?.[label], value);
      assert.equal(spec.template.metadata.labels[label], value);
    }
  }
});

test('what is not enabled is not there, and an app that is a schema has no command handlers', { skip }, async () => {
  const named = (chart: Awaited<ReturnType<typeof render>>) =>
    chart.objects.map(({ metadata }) => metadata.name).join(' ');
  const off = await render({ commandHandler: { enabled: false }, projector: { enabled: false } });
  assert.doesNotMatch(named(off), /command-handler|projector/);
  const schema = await render({ app: { schema: 'type Query { _: Boolean }' } });
  assert.doesNotMatch(named(schema), /command-handler/);
  assert.match(named(schema), /projector/);
});

test('the number of replicas is left to whoever else sets it', { skip }, async () => {
  const chart = await render({
    gateway: { replicas: null },
    router: { autoscaling: { enabled: true } },
    projector: { replicas: 0 },
  });
  const replicas = (name: string) => chart.one('Deployment', `shop-penstock-${name}`).spec.replicas;
  assert.deepEqual(['gateway', 'router', 'command-handler', 'projector'].map(replicas), [undefined, undefined, 2, 0]);
});

test('the image is named by tag or by digest, from any registry', { skip }, async () => {
  const digest = `sha256:${'a'.repeat(64)}`;
  const imageOf = async (values: object) => {
    const chart = await render(values as never);
    const makers = chart.objects.filter(({ kind }) => ['Deployment', 'Job', 'Pod'].includes(kind));
    const images = new Set(
      makers.flatMap(maker => podOf(maker).containers.map(({ image }: { image: string }) => image)),
    );
    return [...images].join();
  };
  assert.equal(await imageOf({}), 'penstock:0.1.0');
  assert.equal(await imageOf({ image: { registry: 'r', repository: 'a/b', tag: '2' } }), 'r/a/b:2');
  assert.equal(
    await imageOf({ global: { imageRegistry: 'g' }, image: { registry: 'r', digest } }),
    `g/penstock@${digest}`,
  );
});

test('Services and Pods take both families of addresses where they are told to', { skip }, async () => {
  const dual = await render({
    service: { ipFamilyPolicy: 'PreferDualStack', ipFamilies: ['IPv6', 'IPv4'] },
    podIPFamily: 'IPv6',
  });
  for (const { spec } of dual.all('Service')) {
    assert.deepEqual([spec.ipFamilyPolicy, spec.ipFamilies], ['PreferDualStack', ['IPv6', 'IPv4']]);
  }
  const value = (chart: typeof dual, name: string) =>
    podOf(chart.one('Deployment', 'shop-penstock-gateway')).containers[0].env.find(
      (each: { name: string }) => each.name === name,
    ).value;
  assert.equal(value(dual, 'PENSTOCK_HTTP_LISTEN'), '[::]:8080');
  assert.equal(value(dual, 'PENSTOCK_ADMIN_HOST'), '::');
  assert.equal(value(dual, 'PENSTOCK_GATEWAY_ADVERTISED_URL'), 'http://[$(POD_IP)]:8080');
  const single = await render({});
  assert.equal(value(single, 'PENSTOCK_HTTP_LISTEN'), '0.0.0.0:8080');
  assert.equal(value(single, 'PENSTOCK_GATEWAY_ADVERTISED_URL'), 'http://$(POD_IP):8080');
});
