import { fullName } from '../objects/bank.ts';
import type { Stage } from '../stage.ts';
import type { Step } from './types.ts';

export const deployments = ['gateway', 'router', 'command-handler', 'projector'].map(name => `${fullName}-${name}`);

/** Resolves when all Deployments of the release are rolled out. */
export async function allSettled({ cluster }: Stage): Promise<void> {
  for (const name of deployments) await cluster.settled(name, 180_000);
}

export const newImage: Step = {
  name: 'helm upgrade to a new image',
  planned: true,
  async run(stage) {
    await stage.upgrade({ image: { tag: '2' } });
    await allSettled(stage);
    const pods = await Promise.all(['gateway', 'router'].map(stage.cluster.pods));
    const old = pods.flat().filter(({ spec }) => !spec.containers[0]?.image.endsWith(':2'));
    if (old.length > 0) throw new Error(`${old.length} Pods have the image of before`);
    return 'all four services';
  },
};
