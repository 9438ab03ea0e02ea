import assert from 'node:assert/strict';
import { test } from 'node:test';
import { refused, render, withoutHelm as skip } from '../support/chart.ts';

const scaled = {
  gateway: { autoscaling: { enabled: true, targetConnections: 500 } },
  router: { autoscaling: { enabled: true } },
  commandHandler: { autoscaling: { enabled: true, targetLagRecords: 50 } },
};

test('gateways scale by connections and CPU and shrink slowly, routers by CPU, handlers by lag', { skip }, async () => {
  const chart = await render(scaled);
  const of = (component: string) => chart.one('HorizontalPodAutoscaler', `shop-penstock-${component}`).spec;
  const metrics = (component: string) =>
    of(component).metrics.map(
      (each: { type: string; pods?: { metric: { name: string } }; resource?: { name: string } }) =>
        each.pods?.metric.name ?? each.resource?.name,
    );
  assert.deepEqual(metrics('gateway'), ['penstock_gateway_connections', 'cpu']);
  assert.deepEqual(metrics('router'), ['cpu']);
  assert.deepEqual(metrics('command-handler'), ['penstock_consumer_lag_records']);
  const { scaleDown } = of('gateway').behavior;
  assert.equal(scaleDown.stabilizationWindowSeconds, 300);
  assert.deepEqual(scaleDown.policies, [{ type: 'Pods', value: 1, periodSeconds: 120 }]);
  for (const { metadata, spec } of chart.all('Deployment')) {
    assert.equal(spec.replicas, metadata.name.endsWith('projector') ? 1 : undefined, metadata.name);
  }
});

test('KEDA does the same in place of the autoscalers', { skip }, async () => {
  const keda = { enabled: true, prometheusAddress: 'http://prometheus:9090', authenticationRef: 'prom' };
  const chart = await render({ ...scaled, autoscaling: { keda } });
  assert.deepEqual(chart.all('HorizontalPodAutoscaler'), []);
  const { spec } = chart.one('ScaledObject', 'shop-penstock-gateway');
  assert.equal(spec.scaleTargetRef.name, 'shop-penstock-gateway');
  const [connections, cpu] = spec.triggers;
  assert.equal(
    connections.metadata.query,
    'sum(penstock_gateway_connections{namespace="trade",pod=~"shop-penstock-gateway-.*"})',
  );
  assert.deepEqual([connections.metadata.threshold, connections.authenticationRef], ['500', { name: 'prom' }]);
  assert.deepEqual([cpu.type, cpu.metadata.value], ['cpu', '70']);
  assert.equal(spec.advanced.horizontalPodAutoscalerConfig.behavior.scaleDown.stabilizationWindowSeconds, 300);
  const handler = chart.one('ScaledObject', 'shop-penstock-command-handler').spec;
  assert.match(handler.triggers[0].metadata.query, /^sum\(penstock_consumer_lag_records\{/);
  assert.equal(chart.one('Deployment', 'shop-penstock-gateway').spec.replicas, undefined);
  await refused({ ...scaled, autoscaling: { keda: { enabled: true } } }, /needs autoscaling\.keda\.prometheusAddress/);
});

test('an autoscaler that may make more replicas than there are partitions is refused', { skip }, async () => {
  for (const service of ['gateway', 'commandHandler']) {
    const refusal = new RegExp(`${service}\\.\\S+ is 9, but only 8 partitions`);
    const kafka = { brokers: ['k:1'], partitions: 8 };
    await refused({ kafka, [service]: { autoscaling: { enabled: true, maxReplicas: 9 } } }, refusal);
    await render({ kafka, [service]: { autoscaling: { enabled: true, maxReplicas: 8 } } });
  }
});
