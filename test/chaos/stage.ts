import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { mutantVariables } from '../support/mutate.ts';
import { startStack } from '../support/stack.ts';
import { writeApp } from './app.ts';
import { type ChaosOptions, type ChaosResult, chaos } from './chaos.ts';
import type { ChaosMutant } from './mutants.ts';
import { violationsOf } from './report.ts';
import { layTraps } from './traps.ts';

/** The stack of a run. */
export interface StackPlan {
  brokers: 1 | 3;
  gateways: number;
  routers: number;
  handlers: number;
  partitions?: number;
  /** PENSTOCK_* for all services. */
  env?: Readonly<Record<string, string>>;
  mutant?: ChaosMutant;
}

/** Starts a stack with traps in it, runs, and takes it down; what it logged stays in the folder unless all was well. */
export async function runChaos(
  options: ChaosOptions,
  { mutant, env, ...counts }: StackPlan,
  { folder, print }: { folder: string; print(line: string): void },
): Promise<ChaosResult> {
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  const traps = layTraps(join(folder, 'traps'));
  const logs = join(folder, 'stack', 'logs');
  let clean = false;
  try {
    const stack = await startStack({
      ...counts,
      app: writeApp(join(folder, 'app')),
      folder: join(folder, 'stack'),
      env: { ...env, ...mutant?.env, ...mutantVariables(...traps.mutants, ...(mutant?.changes ?? [])) },
    });
    try {
      const result = await chaos(stack, traps, options, print);
      clean = violationsOf(result) === 0;
      return result;
    } finally {
      await stack.stop();
    }
  } finally {
    if (clean) rmSync(folder, { recursive: true, force: true });
    else {
      if (existsSync(logs)) cpSync(logs, join(folder, 'logs'), { recursive: true });
      rmSync(join(folder, 'stack'), { recursive: true, force: true });
      print(`logs of all processes: ${join(folder, 'logs')}`);
    }
  }
}
