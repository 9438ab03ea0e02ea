/**
 * `npm run ledger-reconcile -- [--apply --replay|--skip] [--since <time>] [--json] [--app apps/bank] [--folder .penstock]`: after PostgreSQL
 * went back, names what the log has and the ledger lacks; with `--apply`, lets commands go on. Where a stack runs in the folder,
 * its command handlers are stopped for it and started again; elsewhere, with the environment naming the servers,
 * whoever operates them does that. Without `--apply` nothing is changed.
 */
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { ConfigError } from '../lib/ops/config.ts';
import { openReconciling, type ReconcileReport, type Resolution } from '../services/command-handler/reconcile.ts';
import { lineOf, linesOf } from '../services/command-handler/reconcile-report.ts';
import { ReconcileRefusedError } from '../services/command-handler/reconcile-scan.ts';
import { withRunningStack } from '../services/projector/running-stack.ts';
import { filesOf } from './stack/folder.ts';
import { main } from './stack/main.ts';
import { root } from './stack/options.ts';
import { countsOf, scale } from './stack/scaling.ts';
import { readStackFile } from './stack/stack-file.ts';
import { Trouble } from './stack/trouble.ts';

const usage =
  'usage: npm run ledger-reconcile -- [--apply --replay | --apply --skip] [--since <ISO 8601 time>] [--json]';

await main(async signal => {
  const { values } = parseArgs({
    options: {
      ...{
        apply: { type: 'boolean' },
        replay: { type: 'boolean' },
        skip: { type: 'boolean' },
        json: { type: 'boolean' },
      },
      ...{ since: { type: 'string' }, app: { type: 'string' }, folder: { type: 'string' } },
    } as const,
  });
  if (values.replay && values.skip) throw new Trouble(usage);
  const resolution: Resolution | undefined = values.replay ? 'replay' : values.skip ? 'skip' : undefined;
  if (values.apply && resolution === undefined) throw new Trouble(`${usage}: --apply needs one of --replay and --skip`);
  const apply = values.apply ? resolution : undefined;
  const sinceMs = values.since === undefined ? undefined : Date.parse(values.since);
  if (Number.isNaN(sinceMs)) throw new Trouble(`${usage}: "${values.since}" is no time`);

  const folder = resolve(root, values.folder ?? '.penstock');
  const schema = join(resolve(root, values.app ?? 'apps/bank'), 'schema.graphql');
  const env = { PENSTOCK_SCHEMA: schema, ...(await withRunningStack(process.env, folder)) };
  const reconciling = await openReconciling(env).catch((error: unknown) => {
    throw error instanceof ConfigError ? new Trouble(error.problems.join('; ')) : error;
  });
  const json = values.json === true;
  const run = (): Promise<ReconcileReport> =>
    reconciling.run({ apply, sinceMs, onLost: lost => say(json ? JSON.stringify(lost) : lineOf(lost)) });
  try {
    const stack = apply === undefined ? undefined : readStackFile(filesOf(folder).stack);
    const report = stack === undefined ? await run() : await withoutHandlers(folder, signal, run);
    for (const line of json ? [JSON.stringify({ kind: 'report', ...report })] : linesOf(report)) say(line);
  } catch (error) {
    throw error instanceof ReconcileRefusedError ? new Trouble(error.message) : error;
  } finally {
    await reconciling.close();
  }
});

/** Runs something while the stack in the folder has no command handler. */
async function withoutHandlers<T>(folder: string, signal: AbortSignal, run: () => Promise<T>): Promise<T> {
  const stack = readStackFile(filesOf(folder).stack);
  const handlers = stack === undefined ? 0 : (countsOf(stack)['command-handler'] ?? 0);
  await scale(folder, { 'command-handler': 0 }, signal);
  const start = (): Promise<void> => scale(folder, { 'command-handler': handlers }, signal);
  const result = await run().catch((error: unknown) => {
    // Commands may still be stopped, so that the handlers are not to be waited for.
    start().catch(() => undefined);
    throw error;
  });
  await start();
  return result;
}

function say(line: string): void {
  process.stdout.write(`${line}\n`);
}
