import { until } from '../../support/until.ts';
import { fullName } from '../objects/bank.ts';
import { appNamespace } from '../objects/types.ts';
import type { Stage } from '../stage.ts';
import { gatewaysOwnAll } from './scale.ts';
import type { Step } from './types.ts';

async function deleteOne(stage: Stage, component: string): Promise<string> {
  const { cluster } = stage;
  const [pod] = await cluster.pods(component);
  if (pod === undefined) throw new Error(`no Pod of ${component}`);
  const { name } = pod.metadata;
  await cluster.kubectl('delete', 'pod', name, '-n', appNamespace, '--force', '--grace-period=0', '--wait=false');
  await until(`${name} to be gone`, async () =>
    (await cluster.pods(component)).every(({ metadata }) => metadata.name !== name),
  );
  await cluster.settled(`${fullName}-${component}`);
  if (component === 'gateway') await gatewaysOwnAll(stage, 2);
  return 'kubectl delete pod --force --grace-period=0';
}

export const forcedDeletions: readonly Step[] = ['gateway', 'router', 'command-handler', 'projector'].map(
  component => ({
    name: `forced deletion of a ${component}`,
    planned: false,
    run: stage => deleteOne(stage, component),
  }),
);
