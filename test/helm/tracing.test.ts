import assert from 'node:assert/strict';
import { test } from 'node:test';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { type Rendered, refused, render, withoutHelm as skip } from '../support/chart.ts';

const tracing = { endpoint: 'http://otel.monitoring:4318', sampleRatio: 0.00001 };
const senders = ['command-handler', 'gateway', 'router'];

function variablesOf(deployment: Rendered): Record<string, string> {
  const { env } = deployment.spec.template.spec.containers[0];
  const named = env.map(({ name, value }: { name: string; value?: string }) => [name, value]);
  return Object.fromEntries(named.filter(([name]: [string]) => name.startsWith('PENSTOCK_TRACING_')));
}

test('nothing is said of traces where there is no collector', { skip }, async () => {
  const chart = await render({ networkPolicy: { enabled: true } });
  for (const deployment of chart.all('Deployment')) assert.deepEqual(variablesOf(deployment), {});
  assert.ok(chart.all('NetworkPolicy').every(({ metadata }) => metadata.name !== 'shop-penstock-traces'));
});

test('the services on the way of a command send traces, with the headers of a Secret', { skip }, async () => {
  const chart = await render({ tracing: { ...tracing, existingSecret: 'otel' } });
  for (const deployment of chart.all('Deployment')) {
    const { containers, volumes } = deployment.spec.template.spec;
    const isSender = senders.some(name => deployment.metadata.name === `shop-penstock-${name}`);
    const mount = containers[0].volumeMounts.find(({ name }: { name: string }) => name === 'tracing');
    const volume = volumes.find(({ name }: { name: string }) => name === 'tracing');
    assert.deepEqual(
      [mount?.mountPath, volume?.secret.secretName],
      isSender ? ['/etc/penstock/tracing', 'otel'] : [undefined, undefined],
    );
    const { PENSTOCK_TRACING_HEADERS_FILE: headers, ...others } = variablesOf(deployment);
    assert.equal(headers, isSender ? '/etc/penstock/tracing/headers' : undefined);
    const read = readConfig(catalogue, ['tracing'], others).tracing;
    assert.deepEqual([read.endpoint, read.sampleRatio], isSender ? [tracing.endpoint, 0.00001] : [undefined, 1]);
  }
});

test('a policy lets spans out to the port of the endpoint, and to the collector where it is named', {
  skip,
}, async () => {
  const egressOf = async (endpoint: string, tracesTo: readonly object[] = []) => {
    const chart = await render({ networkPolicy: { enabled: true, tracesTo }, tracing: { endpoint } });
    const { podSelector, egress } = chart.one('NetworkPolicy', 'shop-penstock-traces').spec;
    assert.deepEqual([...podSelector.matchExpressions[0].values].sort(), senders);
    return egress;
  };
  const rule = (port: number, more: object = {}) => [{ ports: [{ port, protocol: 'TCP' }], ...more }];
  assert.deepEqual(await egressOf('http://otel:4318'), rule(4318));
  assert.deepEqual(await egressOf('https://otel.example/base'), rule(443));
  const to = [{ ipBlock: { cidr: '10.0.0.0/8' } }];
  assert.deepEqual(await egressOf('http://otel.example', to), rule(80, { to }));
  await refused({ tracing: { endpoint: 'otel:4318' } }, /endpoint/);
  await refused({ tracing: { endpoint: 'http://otel:4318', sampleRatio: 2 } }, /sampleRatio/);
});
