import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Chart, render, withoutHelm as skip } from '../support/chart.ts';

interface Peer {
  podSelector?: { matchLabels: Record<string, string> };
  namespaceSelector?: unknown;
}
interface Rule {
  ports: { port: number; protocol: string }[];
  from?: Peer[];
  to?: Peer[];
}

/** `port ← component` and `port → component`; a rule without peers is for everybody. */
function flowsOf(chart: Chart, component: string): string[] {
  const { spec } = chart.one('NetworkPolicy', `shop-penstock-${component}`);
  assert.equal(spec.podSelector.matchLabels['app.kubernetes.io/component'], component);
  assert.deepEqual(spec.policyTypes, ['Ingress', 'Egress']);
  const name = (peer: Peer) => peer.podSelector?.matchLabels['app.kubernetes.io/component'] ?? 'elsewhere';
  const flows = (rules: Rule[], sign: string) =>
    rules.flatMap(({ ports, from, to }) => {
      const peers = (from ?? to)?.map(name) ?? ['anybody'];
      return ports.flatMap(({ port }) => peers.map(peer => `${port} ${sign} ${peer}`));
    });
  return [...flows(spec.ingress, '<'), ...flows(spec.egress, '>')].filter(flow => !flow.startsWith('53 ')).sort();
}

test('there are no policies unless they are wanted', { skip }, async () => {
  assert.deepEqual((await render({})).all('NetworkPolicy'), []);
});

test('everything is denied but the flows that are needed', { skip }, async () => {
  const chart = await render({ networkPolicy: { enabled: true }, kafka: { brokers: ['k:9092', 'l:9093', 'm:9092'] } });
  const deny = chart.one('NetworkPolicy', 'shop-penstock-default-deny').spec;
  assert.deepEqual(deny, {
    podSelector: { matchLabels: { 'app.kubernetes.io/name': 'penstock', 'app.kubernetes.io/instance': 'shop' } },
    policyTypes: ['Ingress', 'Egress'],
  });
  const stores = (...ports: number[]) => ports.map(port => `${port} > anybody`);
  const expected = {
    gateway: [
      ...['8080 < router', '7070 < gateway', '7070 < router', '9090 < anybody', '7070 > gateway', '8080 > router'],
      ...stores(9092, 9093, 6379, 26379, 5432),
    ],
    router: [
      ...['8080 < anybody', '9090 < anybody', '8080 > gateway', '7070 > gateway'],
      ...stores(9092, 9093, 6379, 26379, 5432),
    ],
    'command-handler': [
      ...['7070 < command-handler', '9090 < anybody', '7070 > command-handler'],
      ...stores(9092, 9093, 5432),
    ],
    projector: ['7070 < projector', '9090 < anybody', '7070 > projector', ...stores(9092, 9093, 5432)],
    setup: stores(9092, 9093, 5432),
    test: ['8080 > router'],
  };
  for (const [component, flows] of Object.entries(expected)) assert.deepEqual(flowsOf(chart, component), flows.sort());
});

test('who may come, and where to, can be narrowed', { skip }, async () => {
  const elsewhere = [{ namespaceSelector: {} }];
  const egress = [{ to: elsewhere, ports: [{ port: 9999, protocol: 'TCP' }] }];
  const auth = { issuer: 'https://i', jwksUrl: 'https://i/jwks' };
  const chart = await render({
    auth,
    networkPolicy: { enabled: true, routerFrom: elsewhere, metricsFrom: elsewhere, egress },
  });
  assert.deepEqual(
    flowsOf(chart, 'router'),
    [
      ...['8080 < elsewhere', '8080 < gateway', '8080 < test', '9090 < elsewhere'],
      ...['8080 > gateway', '7070 > gateway', '9999 > elsewhere'],
    ].sort(),
  );
  const open = await render({ auth, networkPolicy: { enabled: true } });
  assert.ok(flowsOf(open, 'gateway').includes('443 > anybody'), 'the issuer');
});

test('an Ingress takes names, and hosts with paths; an HTTPRoute its parents', { skip }, async () => {
  const hosts = ['a.example', { host: 'b.example', paths: [{ path: '/graphql' }] }];
  const chart = await render({
    ingress: { enabled: true, className: 'nginx', hosts },
    httpRoute: { enabled: true, parentRefs: [{ name: 'gate' }], hostnames: ['a.example'] },
  });
  const { spec } = chart.one('Ingress');
  assert.deepEqual(
    spec.rules.map((rule: { host: string; http: { paths: { path: string }[] } }) => [
      rule.host,
      rule.http.paths[0]?.path,
    ]),
    [
      ['a.example', '/'],
      ['b.example', '/graphql'],
    ],
  );
  const route = chart.one('HTTPRoute').spec;
  assert.deepEqual([route.parentRefs, route.hostnames], [[{ name: 'gate' }], ['a.example']]);
  assert.deepEqual(route.rules[0].backendRefs, [{ name: 'shop-penstock-router', port: 80 }]);
});
