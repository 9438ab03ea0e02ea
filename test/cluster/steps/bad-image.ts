import { release } from '../objects/bank.ts';
import { appNamespace } from '../objects/types.ts';
import { allSettled } from './new-image.ts';
import type { Step } from './types.ts';

/** The upgrade has to fail by itself, because new Pods never become ready, and take nothing away meanwhile. */
export const badImage: Step = {
  name: 'a bad image and its rollback',
  planned: true,
  async run(stage) {
    const before = await stage.cluster.pods('gateway');
    const failure = await stage.upgrade({ image: { tag: 'bad' } }, '--timeout', '25s').then(
      () => undefined,
      error => error as Error,
    );
    if (failure === undefined) throw new Error('the upgrade to the bad image has succeeded');
    const during = (await stage.cluster.pods('gateway')).map(({ metadata }) => metadata.name);
    const kept = before.filter(({ metadata }) => during.includes(metadata.name)).length;
    if (kept !== before.length)
      throw new Error(`${before.length - kept} gateways were taken away for Pods that never were ready`);
    await stage.cluster.helm('rollback', release, '-n', appNamespace, '--wait', '--timeout', '180s');
    await allSettled(stage);
    return 'helm upgrade fails after its time-out of 25 s, helm rollback';
  },
};
