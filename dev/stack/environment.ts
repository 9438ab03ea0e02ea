import { catalogue } from '../../lib/ops/catalogue.ts';
import { variablesOf } from '../../lib/ops/config.ts';
import { Trouble } from './trouble.ts';

type Environment = Readonly<Record<string, string | undefined>>;

/**
 * What servers and services get of the caller's environment: nothing of npm's, nothing of ours. The variables of a
 * mutant (test/support/mutate.ts) are handed on, so that a stack of its own runs it in all of its services.
 */
export function plainEnvironment(env: Environment): NodeJS.ProcessEnv {
  const mutant = env.TEST_MUTANT === undefined ? [] : ['TEST_MUTANT', 'NODE_OPTIONS'];
  return Object.fromEntries(
    Object.entries(env).filter(
      ([name]) => mutant.includes(name) || !/^(npm_|PENSTOCK_|TEST_|NODE_TEST|NODE_OPTIONS$|INIT_CWD$)/.test(name),
    ),
  );
}

/**
 * The PENSTOCK_* variables that the caller has set; they win over the stack's own.
 * @throws Trouble naming all that no service knows.
 */
export function penstockVariables(env: Environment): Record<string, string> {
  const known = new Map(variablesOf(catalogue).map(({ name, variable }) => [name, variable]));
  const unknown: string[] = [];
  const set: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    if (!name.startsWith('PENSTOCK_') || value === undefined) continue;
    const variable = known.get(name);
    if (value === '' && variable?.mayBeEmpty !== true) continue;
    if (variable !== undefined) set[name] = value;
    else unknown.push(name);
  }
  if (unknown.length > 0) throw new Trouble(`unknown: ${unknown.sort().join(', ')}; see docs/configuration.md`);
  return set;
}
