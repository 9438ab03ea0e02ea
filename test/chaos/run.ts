import { cpSync, existsSync, mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../dev/stack/options.ts';
import { mutantVariables } from '../support/mutate.ts';
import { startStack } from '../support/stack.ts';
import { writeApp } from './app.ts';
import { chaos } from './chaos.ts';
import { faults } from './faults/index.ts';
import type { Fault } from './faults/types.ts';
import { jsonOf, tableOf, violationsOf } from './report.ts';
import { layTraps } from './traps.ts';

/**
 * `npm run chaos -- [--seed 7] [--minutes 3] [--clients 300] [--faults gateway-kill,redis-flush] [--ticks 200] [--commands 10]`.
 * Faults in a stack of real processes and three brokers; then every client's sequence against the topics. Exit code 1 when
 * anything is not as it must be.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string', default: '3' },
    clients: { type: 'string', default: '300' },
    faults: { type: 'string' },
    ticks: { type: 'string', default: '200' },
    commands: { type: 'string', default: '10' },
  },
});
const print = (line: string) => void process.stdout.write(`${line}\n`);

const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
const chosen = await available(choose(values.faults));
const again = `npm run chaos -- --seed ${seed} --faults ${chosen.map(({ name }) => name).join()} --minutes ${values.minutes} --clients ${values.clients} --ticks ${values.ticks} --commands ${values.commands}`;
print(again);

const folder = join(root, '.penstock-chaos', String(seed));
rmSync(folder, { recursive: true, force: true });
mkdirSync(folder, { recursive: true });
const traps = layTraps(join(folder, 'traps'));
const stack = await startStack({
  ...{ brokers: 3, gateways: 3, routers: 2, handlers: 2 },
  app: writeApp(join(folder, 'app')),
  folder: join(folder, 'stack'),
  env: mutantVariables(...traps.mutants),
});
let clean = false;
try {
  const options = {
    ...{ seed, faults: chosen, name: `u${seed}` },
    minutes: Number(values.minutes),
    clients: Number(values.clients),
    ticksPerSecond: Number(values.ticks),
    commandsPerSecond: Number(values.commands),
  };
  const result = await chaos(stack, traps, options, print);
  clean = violationsOf(result) === 0;
  print(tableOf(result));
  print(jsonOf(result, { seed, minutes: options.minutes, clients: options.clients }));
} finally {
  await stack.stop();
  if (!clean) keepLogs();
  rmSync(join(folder, 'stack'), { recursive: true, force: true });
  if (clean) rmSync(folder, { recursive: true, force: true });
  print(clean ? 'clean' : `NOT CLEAN; logs of all processes: ${join(folder, 'logs')}`);
}
process.exit(clean ? 0 : 1);

function choose(names: string | undefined): Fault[] {
  if (names === undefined) return [...faults];
  return names.split(',').map(name => {
    const found = faults.find(fault => fault.name === name);
    if (found === undefined)
      throw new Error(`no fault is called ${name}; known: ${faults.map(fault => fault.name).join()}`);
    return found;
  });
}

async function available(wanted: readonly Fault[]): Promise<Fault[]> {
  const able: Fault[] = [];
  for (const fault of wanted) {
    const reason = await fault.unavailable?.();
    if (reason === undefined) able.push(fault);
    else print(`skipped: ${fault.name}: ${reason}`);
  }
  return able;
}

function keepLogs(): void {
  const logs = join(folder, 'stack', 'logs');
  if (existsSync(logs)) cpSync(logs, join(folder, 'logs'), { recursive: true });
}
