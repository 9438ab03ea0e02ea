/**
 * `npm run grow-partitions -- --partitions 48 [--app apps/bank] [--folder .penstock]`: gives the app's topics more partitions.
 * Where a stack runs in the folder, its services are stopped for it, in the order that leaves nothing on its way, and
 * started again; elsewhere, with the environment naming the servers, whoever operates them does that.
 */
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { ConfigError } from '../lib/ops/config.ts';
import { type Growing, GrowthRefusedError, openGrowing } from '../services/command-handler/growing.ts';
import { withRunningStack } from '../services/projector/running-stack.ts';
import { filesOf, readSettings, saveSettings } from './stack/folder.ts';
import { main } from './stack/main.ts';
import { root } from './stack/options.ts';
import { countsOf, scale } from './stack/scaling.ts';
import { readStackFile, type StackFile } from './stack/stack-file.ts';
import { Trouble } from './stack/trouble.ts';

const drainWithinMs = 60_000;
const lookMs = 100;

await main(async signal => {
  const { values } = parseArgs({
    options: { partitions: { type: 'string' }, app: { type: 'string' }, folder: { type: 'string' } },
  });
  const to = Number(values.partitions);
  if (!Number.isInteger(to) || to < 1) throw new Trouble('usage: npm run grow-partitions -- --partitions <count>');
  const folder = resolve(root, values.folder ?? '.penstock');
  const schema = join(resolve(root, values.app ?? 'apps/bank'), 'schema.graphql');
  const env = { PENSTOCK_SCHEMA: schema, ...(await withRunningStack(process.env, folder)) };
  const growing = await openGrowing(env).catch((error: unknown) => {
    throw error instanceof ConfigError ? new Trouble(error.problems.join('; ')) : error;
  });
  try {
    await growing.check(to);
    const stack = readStackFile(filesOf(folder).stack);
    if (stack === undefined || stack.processes.length === 0) await growing.grow(to);
    else await growStack({ growing, stack, folder, to, signal });
    say(`the topics have ${to} partitions`);
  } catch (error) {
    throw error instanceof GrowthRefusedError ? new Trouble(error.message) : error;
  } finally {
    await growing.close();
  }
});

interface StackGrowth {
  growing: Growing;
  stack: StackFile;
  folder: string;
  to: number;
  signal: AbortSignal;
}

async function growStack({ growing, stack, folder, to, signal }: StackGrowth): Promise<void> {
  const counts = countsOf(stack);
  try {
    say('stopping routers and gateways: clients come back with their cursors');
    await scale(folder, { router: 0, gateway: 0 }, signal);
    say('waiting until every command has its verdict');
    const deadline = Date.now() + drainWithinMs;
    for (let left = await growing.backlog(); left !== undefined; left = await growing.backlog()) {
      if (Date.now() > deadline) throw new GrowthRefusedError(`${left} after ${drainWithinMs / 1_000} s`);
      await sleep(lookMs, undefined, { signal });
    }
    await scale(folder, { 'command-handler': 0, projector: 0 }, signal);
    await growing.grow(to);
    const settings = readSettings(folder);
    if (settings !== undefined) saveSettings(folder, { ...settings, partitions: to });
  } finally {
    say('starting the services again');
    await scale(folder, counts, signal);
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
