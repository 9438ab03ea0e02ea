import { parse } from 'yaml';
import { z } from 'zod';
import { until } from '../../support/until.ts';
import { openUser, type User } from '../../support/user.ts';
import { adapterObjects, startAdapter } from '../metrics/adapter.ts';
import { startDiscovery } from '../metrics/discovery.ts';
import { release } from '../objects/bank.ts';
import { prometheus, prometheusPort, scrapeConfig } from '../objects/prometheus.ts';
import { appNamespace, infraNamespace } from '../objects/types.ts';
import type { Stage } from '../stage.ts';
import { gatewaysOwnAll, metricOf } from './scale.ts';
import type { Step } from './types.ts';

const metric = 'penstock_gateway_connections';

/** Connections that nobody looks at: what makes the autoscaler act. */
const idle: User[] = [];
let targetConnections = 0;

/** Starts Prometheus by the chart's PodMonitor and the adapter, and has the chart make the autoscaler. */
export const autoscalerOn: Step = {
  name: 'helm upgrade to an autoscaler',
  planned: true,
  async run(stage) {
    const { cluster } = stage;
    await startDiscovery(async namespace => (await cluster.api('GET', `/api/v1/namespaces/${namespace}/pods`)).body);
    await cluster.apply(prometheus([await scrapesOf(stage)]));
    await cluster.kubectl(
      'wait',
      '-n',
      infraNamespace,
      '--for=condition=Available',
      'deployment/prometheus',
      '--timeout=120s',
    );
    const address = await cluster.address(infraNamespace, 'prometheus');
    await startAdapter({
      ...{ folder: stage.folder, prometheus: `http://${address}:${prometheusPort}`, metrics: [metric] },
      async podsOf(namespace, selector) {
        const path = `/api/v1/namespaces/${namespace}/pods?labelSelector=${encodeURIComponent(selector)}`;
        const { body } = await cluster.api('GET', path);
        return (body as { items: { metadata: { name: string } }[] }).items.map(({ metadata }) => metadata.name);
      },
    });
    await cluster.apply(adapterObjects(stage.folder));
    const path = `/apis/custom.metrics.k8s.io/v1beta1/namespaces/${appNamespace}/pods/*/${metric}`;
    const component = encodeURIComponent('app.kubernetes.io/component=gateway');
    const now = await until(
      'the connections of both gateways, through the metrics API',
      async () => {
        const { status, body } = await cluster.api('GET', `${path}?labelSelector=${component}`);
        const items = status === 200 ? (body as { items: { value: string }[] }).items : [];
        return items.length === 2 ? items.reduce((sum, { value }) => sum + Number(value), 0) : undefined;
      },
      60_000,
      1_000,
    );
    targetConnections = Math.ceil(now * 0.6);
    await stage.upgrade({ gateway: { autoscaling: autoscaling(targetConnections) } });
    await until('the autoscaler to know the metric', () => isKnown(stage), 60_000, 1_000);
    await gatewaysOwnAll(stage, 2);
    return `${now} connections, target ${targetConnections} a gateway; Prometheus by the chart's PodMonitor, without the operator`;
  },
};

export const autoscaledUp: Step = {
  name: 'gateways 2 → 4 by the autoscaler',
  planned: true,
  async run(stage) {
    const [, user] = [...stage.load.clients.users][0] ?? [];
    if (user === undefined || targetConnections === 0) throw new Error('the autoscaler was not set up');
    const pods = await stage.cluster.pods('gateway');
    const now = await Promise.all(pods.map(({ status }) => metricOf(status.podIP, metric)));
    const more = Math.ceil(3.5 * targetConnections) - now.reduce((sum, each) => sum + each, 0);
    const users = [...stage.load.clients.users.values()];
    for (let count = 0; count < more; count++) {
      const owner = users[count % users.length] ?? user;
      const one = await openUser(stage.url, owner.name, { accessToken: owner.accessToken() });
      one.subscribe({ query: 'subscription { transactions { id } }' }, { next() {} });
      idle.push(one);
    }
    stage.note(`${more} more connections`);
    await gatewaysOwnAll(stage, 4);
    return `${more} connections more`;
  },
};

export const autoscaledDown: Step = {
  name: 'gateways 4 → 2 by the autoscaler',
  planned: true,
  async run(stage) {
    await Promise.all(idle.splice(0).map(user => user.close()));
    await gatewaysOwnAll(stage, 2);
    return 'those are closed; scaleDown of the chart shortened to 15 s and one Pod each 15 s';
  },
};

export const autoscalerOff: Step = {
  name: 'helm upgrade back to a fixed number',
  planned: true,
  async run(stage) {
    await stage.upgrade({ gateway: { replicas: 2, autoscaling: { enabled: false } } });
    await gatewaysOwnAll(stage, 2);
    return '';
  },
};

function autoscaling(connections: number): object {
  const scaleDown = { stabilizationWindowSeconds: 15, policies: [{ type: 'Pods', value: 1, periodSeconds: 15 }] };
  return {
    ...{ enabled: true, minReplicas: 2, maxReplicas: 4, targetConnections: connections },
    ...{ targetCPUUtilizationPercentage: 0, behavior: { scaleDown } },
  };
}

/** What Prometheus is told, made from the PodMonitor that the chart renders. */
async function scrapesOf(stage: Stage): Promise<object> {
  const only = ['--show-only', 'templates/pod-monitor.yaml', '--set', 'monitoring.podMonitor.enabled=true'];
  const more = ['--set', 'monitoring.podMonitor.interval=5s', '--api-versions', 'monitoring.coreos.com/v1'];
  const rendered = await stage.template(...only, ...more);
  const monitor = z.object({ metadata: z.object({ name: z.string() }), spec: z.unknown() }).parse(parse(rendered));
  return scrapeConfig(monitor.metadata.name, appNamespace, monitor.spec);
}

async function isKnown({ cluster }: Stage): Promise<boolean> {
  const path = `/apis/autoscaling/v2/namespaces/${appNamespace}/horizontalpodautoscalers/${release}-penstock-gateway`;
  const { body } = await cluster.api('GET', path);
  const { status } = body as { status?: { currentMetrics?: { pods?: unknown }[] } };
  return status?.currentMetrics?.some(({ pods }) => pods !== undefined) ?? false;
}
