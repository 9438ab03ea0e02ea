import { until } from '../../support/until.ts';
import type { Cluster, Pod } from '../cluster.ts';
import { fullName } from '../objects/bank.ts';
import { appNamespace } from '../objects/types.ts';
import type { Stage } from '../stage.ts';
import { gatewaysOwnAll } from './scale.ts';
import type { Step } from './types.ts';

function evict(cluster: Cluster, { metadata: { name } }: Pod): Promise<{ status: number; body: unknown }> {
  return cluster.api('POST', `/api/v1/namespaces/${appNamespace}/pods/${name}/eviction`, {
    ...{ apiVersion: 'policy/v1', kind: 'Eviction', metadata: { name, namespace: appNamespace } },
  });
}

/**
 * Evicts every Pod of a component as `kubectl drain` does, by the Eviction API, each as soon as the budget lets it go. The node
 * is not cordoned: it is the only one, and a Pod that takes the place of another has to run somewhere.
 */
async function evictAll(stage: Stage, component: string): Promise<number> {
  const { cluster } = stage;
  const pods = await cluster.pods(component);
  let refused = 0;
  for (const pod of pods) {
    await until(
      `the budget to let ${pod.metadata.name} go`,
      async () => {
        const { status, body } = await evict(cluster, pod);
        if (status === 429) refused++;
        else if (status >= 300) throw new Error(`eviction of ${pod.metadata.name}: ${status} ${JSON.stringify(body)}`);
        return status < 300;
      },
      120_000,
      500,
    );
  }
  await until(`the evicted to be gone`, async () => {
    const left = new Set((await cluster.pods(component)).map(({ metadata }) => metadata.name));
    return pods.every(({ metadata }) => !left.has(metadata.name));
  });
  await cluster.settled(`${fullName}-${component}`);
  if (component === 'gateway') await gatewaysOwnAll(stage, 2);
  if (pods.length > 1 && refused === 0)
    throw new Error(`no eviction of a ${component} was refused: the budget does nothing`);
  return refused;
}

export const eviction: Step = {
  name: 'eviction of all Pods',
  planned: true,
  async run(stage) {
    const refused: string[] = [];
    for (const component of ['gateway', 'router', 'command-handler', 'projector']) {
      refused.push(`${component} ${await evictAll(stage, component)}`);
    }
    return `Eviction API on one node, without cordon; refused with 429: ${refused.join(', ')}`;
  },
};
