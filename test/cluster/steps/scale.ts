import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../../support/until.ts';
import { fullName, partitions } from '../objects/bank.ts';
import { appNamespace } from '../objects/types.ts';
import type { Stage } from '../stage.ts';
import type { Step } from './types.ts';

export const gateways = `${fullName}-gateway`;

/** Resolves when there are so many gateways, all ready, which own all partitions together. */
export async function gatewaysOwnAll(stage: Stage, count: number): Promise<void> {
  await stage.cluster.settled(gateways);
  let last = '';
  await until(
    () => `${count} gateways to own ${partitions} partitions: ${last}`,
    async () => {
      const pods = await stage.cluster.pods('gateway');
      const owned = await Promise.all(
        pods.map(({ status }) => metricOf(status.podIP, 'penstock_gateway_partitions_owned')),
      );
      last = owned.join(' + ');
      return (
        pods.length === count &&
        owned.reduce((sum, each) => sum + each, 0) === partitions &&
        owned.every(each => each > 0)
      );
    },
    60_000,
    500,
  );
}

/** A metric of a Pod, without labels; 0 while it does not answer. */
export async function metricOf(podIp: string | undefined, name: string): Promise<number> {
  try {
    const response = await fetch(`http://${podIp}:9090/metrics`, { signal: AbortSignal.timeout(2_000) });
    return Number(new RegExp(`^${name} (\\S+)`, 'm').exec(await response.text())?.[1] ?? 0);
  } catch {
    return 0;
  }
}

async function scaleTo(stage: Stage, count: number): Promise<string> {
  await stage.cluster.kubectl('scale', '-n', appNamespace, `deployment/${gateways}`, `--replicas=${count}`);
  await gatewaysOwnAll(stage, count);
  await sleep(2_000); // clients are moved within the handover window
  return 'kubectl scale';
}

export const scaleUp: Step = { name: 'gateways 2 → 4 by hand', planned: true, run: stage => scaleTo(stage, 4) };
export const scaleDown: Step = { name: 'gateways 4 → 2 by hand', planned: true, run: stage => scaleTo(stage, 2) };
