import { randomBytes } from 'node:crypto';
import { until } from '../../support/until.ts';
import { fullName, secret } from '../objects/bank.ts';
import { postgresUrl } from '../objects/servers.ts';
import { appNamespace } from '../objects/types.ts';
import { databaseUsers, type Stage } from '../stage.ts';
import { deployments } from './new-image.ts';
import type { Step } from './types.ts';

/** The kubelet looks at mounted Secrets within a minute or so, the services every 5 s. */
const reloadWithinMs = 180_000;

/** How often the Pods of a release have logged that a variable was read anew, by Pod. */
async function reloads(stage: Stage, component: string, variable: string): Promise<number[]> {
  const pods = await stage.cluster.pods(component);
  const logs = pods.map(({ metadata }) => stage.cluster.kubectl('logs', '-n', appNamespace, metadata.name));
  const isReload = (line: string) => line.includes('"secret_reloaded"') && line.includes(`"${variable}_FILE"`);
  return (await Promise.all(logs)).map(log => log.split('\n').filter(isReload).length);
}

/** Replaces a Secret and resolves when every Pod that has it has read it. */
async function replace(
  stage: Stage,
  name: string,
  data: Record<string, string>,
  components: readonly string[],
  variable: string,
) {
  const before = await Promise.all(components.map(component => reloads(stage, component, variable)));
  await stage.cluster.apply([secret(name, data)]);
  for (const [index, component] of components.entries()) {
    await until(
      `every ${component} to read ${variable} anew`,
      async () =>
        (await reloads(stage, component, variable)).every((count, pod) => count > (before[index]?.[pod] ?? 0)),
      reloadWithinMs,
      2_000,
    );
  }
}

/** Another user of PostgreSQL; then the one of before can log in no more, and its connections are ended. */
export const databasePassword: Step = {
  name: 'rotation of the PostgreSQL user',
  planned: true,
  async run(stage) {
    const [old, fresh] = databaseUsers;
    const components = deployments.map(name => name.replace(`${fullName}-`, ''));
    await replace(stage, 'postgres', { url: postgresUrl(fresh, fresh) }, components, 'PENSTOCK_POSTGRES_URL');
    await stage.sql(`alter role ${old} nologin`);
    await stage.sql(`select pg_terminate_backend(pid) from pg_stat_activity where usename = '${old}'`);
    for (const deployment of deployments) await stage.cluster.settled(deployment);
    return 'the Secret is replaced, then the old user barred and its connections ended';
  },
};

/** In two steps, as docs/operations.md has it: the new key behind the old one, then before it. */
export const cursorKeys: Step = {
  name: 'rotation of the cursor key',
  planned: true,
  async run(stage) {
    const [current] = [
      await stage.cluster.kubectl('get', 'secret', 'cursor', '-n', appNamespace, '-o', 'jsonpath={.data.secrets}'),
    ];
    const old = Buffer.from(current, 'base64').toString();
    const fresh = `k2:${randomBytes(32).toString('base64')}`;
    await replace(stage, 'cursor', { secrets: `${old},${fresh}` }, ['gateway'], 'PENSTOCK_CURSOR_SECRETS');
    await replace(stage, 'cursor', { secrets: `${fresh},${old}` }, ['gateway'], 'PENSTOCK_CURSOR_SECRETS');
    return 'added behind the old one, then put first';
  },
};
