import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../dev/stack/options.ts';
import { faults } from './faults/index.ts';
import type { Fault } from './faults/types.ts';
import { htmlOf } from './html.ts';
import { mutants } from './mutants.ts';
import { jsonOf, tableOf, violationsOf } from './report.ts';
import { runChaos } from './stage.ts';

/**
 * `npm run chaos -- [--seed 7] [--minutes 3] [--clients 300] [--faults gateway-kill,redis-flush] [--ticks 200] [--commands 10] [--token-seconds 3600]`:
 * faults in a stack of real processes and three brokers; then every client's sequence against the topics. Exit code 1 when
 * anything is not as it must be.
 *
 * `--mutant <name>` breaks one thing in the product and runs briefly: exit code 0 when the run has noticed. `--mutants` does
 * so with each, after a run with none.
 */
const { values } = parseArgs({
  options: {
    seed: { type: 'string' },
    minutes: { type: 'string' },
    clients: { type: 'string' },
    faults: { type: 'string' },
    ticks: { type: 'string' },
    commands: { type: 'string' },
    'token-seconds': { type: 'string' },
    mutant: { type: 'string' },
    mutants: { type: 'boolean', default: false },
  },
});
const print = (line: string) => void process.stdout.write(`${line}\n`);
const seed = Number(values.seed ?? Math.floor(Math.random() * 1_000_000));
process.exit((await main()) ? 0 : 1);

async function main(): Promise<boolean> {
  if (values.mutants) return runMutants(Object.keys(mutants));
  if (values.mutant !== undefined) return runMutants(values.mutant.split(','));
  const chosen = await available(faultsCalled(values.faults?.split(',') ?? faults.map(({ name }) => name)));
  const { minutes = '3', clients = '300', ticks = '200', commands = '10', 'token-seconds': tokens = '3600' } = values;
  const names = chosen.map(({ name }) => name).join();
  print(
    `npm run chaos -- --seed ${seed} --faults ${names} --minutes ${minutes} --clients ${clients} --ticks ${ticks} --commands ${commands} --token-seconds ${tokens}`,
  );
  const folder = join(root, '.penstock-chaos', String(seed));
  const result = await runChaos(
    {
      ...{ seed, faults: chosen, name: `u${seed}` },
      minutes: Number(minutes),
      clients: Number(clients),
      ticksPerSecond: Number(ticks),
      commandsPerSecond: Number(commands),
    },
    {
      ...{ brokers: 3, gateways: 3, routers: 2, handlers: 2 },
      env: {
        PENSTOCK_AUTH_TOKEN_TTL_SECONDS: tokens,
        // So that who stops reading is closed while a fault lasts.
        PENSTOCK_GATEWAY_SOCKET_BUFFER_BYTES: '262144',
        PENSTOCK_GATEWAY_SLOW_TIMEOUT_MS: '3000',
      },
    },
    { folder, print },
  );
  print(tableOf(result));
  print(jsonOf(result, { seed, minutes: Number(minutes), clients: Number(clients) }));
  const page = join(folder, 'report.html');
  mkdirSync(folder, { recursive: true });
  writeFileSync(page, htmlOf(result, `chaos, seed ${seed}`));
  print(`plots: ${page}`);
  return violationsOf(result) === 0;
}

/** Each in a stack of its own; returns whether all were noticed, by the counts that they name. */
async function runMutants(names: readonly string[]): Promise<boolean> {
  const table: string[] = [];
  let missed = 0;
  const baseline = names.length > 1 ? ['none'] : [];
  for (const name of [...baseline, ...names]) {
    const mutant = mutants[name];
    if (mutant === undefined && name !== 'none')
      throw new Error(`no mutant is called ${name}; known: ${Object.keys(mutants).join()}`);
    const begin = Date.now();
    const result = await runChaos(
      {
        ...{ seed, name: `m${seed}`, minutes: 0.5, clients: 40, commandsPerSecond: 5 },
        ticksPerSecond: mutant?.ticksPerSecond ?? 80,
        faults: faultsCalled(mutant?.faults ?? ['redis-flush', 'absent-clients', 'gateway-kill', 'projector-kill']),
      },
      { brokers: 1, gateways: 2, routers: 1, handlers: 1, partitions: 4, ...(mutant && { mutant }) },
      { folder: join(root, '.penstock-chaos', `mutant-${name}`), print: () => {} },
    );
    const noticed = mutant === undefined ? violationsOf(result) === 0 : result.findings[mutant.caughtBy] > 0;
    if (!noticed) missed++;
    const found = Object.entries(result.findings).filter(([, count]) => count !== 0);
    const line = [
      noticed ? (mutant ? 'caught' : 'clean ') : 'MISSED',
      name.padEnd(28),
      `${mutant ? `by ${mutant.caughtBy}` : ''}`.padEnd(18),
      `${Math.round((Date.now() - begin) / 1_000)} s`.padEnd(6),
      found.map(([kind, count]) => `${kind} ${count}`).join(', '),
    ].join(' ');
    print(line);
    for (const fault of result.buffer.named.slice(0, 1)) print(`       ${fault}`);
    if (!noticed) print(tableOf(result));
    table.push(line);
  }
  print(`\n${table.join('\n')}\n${missed === 0 ? 'none missed' : `${missed} MISSED`}`);
  return missed === 0;
}

function faultsCalled(names: readonly string[]): Fault[] {
  return names.map(name => {
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
