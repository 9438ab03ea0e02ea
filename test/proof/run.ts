import { parseArgs } from 'node:util';
import { partitionOf } from '../../lib/kafka/index.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { openStockUser } from '../support/stock-client.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';
import { check, type Findings, type SentCommand, violations } from './check.ts';
import { collect, ledgerOf } from './evidence.ts';
import { type Mutant, mutants } from './mutants.ts';
import { seeded } from './random.ts';
import { runUser } from './workload.ts';

/**
 * The proof: random commands over many users while handlers and gateways are killed, then the counts.
 * `npm run proof -- [--commands 20000] [--users 200] [--kills 8] [--seed 1] [--mutants]`.
 * With `--mutants`, short runs follow, each with one thing broken on purpose; each must be caught by its check.
 */
export interface ProofOptions {
  commands: number;
  users: number;
  seed: number;
  /** Distinguishes the users of runs that share a stack. */
  name: string;
  mutant?: Mutant;
}

export interface Kills {
  /** Handlers and gateways by turns, spread over the commands of the run that is furthest behind. */
  kills: number;
  seed: number;
}

export interface ProofResult {
  findings: Findings;
  commands: number;
  deliveries: number;
  kills: readonly string[];
  reconnects: number;
  seconds: number;
}

/** One run, with a stack for itself. */
export async function prove(stack: Stack, options: ProofOptions & Kills): Promise<ProofResult> {
  const [result] = await proveAll(stack, [options], options);
  if (result === undefined) throw new Error('no run');
  return result;
}

/**
 * Runs side by side on one stack, each with users of its own and judged by what is theirs. Nothing is tampered with, and
 * no evidence taken, before all commands of all runs have their verdicts and the last kill is over.
 */
async function proveAll(stack: Stack, runs: readonly ProofOptions[], { kills, seed }: Kills): Promise<ProofResult[]> {
  const begin = Date.now();
  const begun = await Promise.all(runs.map(options => beginRun(stack, options)));
  let running = true;
  const shareDone = () => Math.min(...begun.map(({ sent }, index) => sent.length / (runs[index]?.commands ?? 1)));
  const killed = killByTurns(stack, { kills, seed }, shareDone, () => running);
  try {
    await Promise.all(begun.map(run => run.commands()));
  } finally {
    running = false;
  }
  const names = await killed;
  return Promise.all(
    begun.map(async run => ({ ...(await run.judge()), kills: names, seconds: (Date.now() - begin) / 1_000 })),
  );
}

/** Returns the names of the processes that were killed. */
async function killByTurns(
  stack: Stack,
  { kills, seed }: Kills,
  shareDone: () => number,
  isRunning: () => boolean,
): Promise<string[]> {
  const random = seeded(seed);
  const killed: string[] = [];
  for (let count = 0; count < kills; count++) {
    const target = (count + 0.5) / kills;
    await until('the next kill', () => !isRunning() || shareDone() >= target, 600_000);
    if (!isRunning()) break;
    const service = count % 2 === 0 ? 'command-handler' : 'gateway';
    await until(`a ${service} to kill`, () => stack.processes().some(process => process.service === service));
    const victim = random.pick(stack.processes().filter(process => process.service === service));
    killed.push(victim.name);
    stack.kill(victim.name, 'SIGKILL');
  }
  return killed;
}

interface Run {
  /** What its users have sent by now. */
  readonly sent: readonly SentCommand[];
  /** Resolves when all of its commands have their verdicts. */
  commands(): Promise<void>;
  judge(): Promise<Omit<ProofResult, 'kills' | 'seconds'>>;
}

/** Logs the users in and opens their streams. */
async function beginRun(stack: Stack, { commands, seed, mutant, ...options }: ProofOptions): Promise<Run> {
  const resume = mutant?.resume ?? 'always';
  const users = new Map<string, User>();
  const streams = new Map<string, string[]>();
  for (let index = 0; index < options.users; index++) {
    const name = `${options.name}-${index}`;
    const user = await (resume === 'always' ? openUser(stack.url, name) : openStockUser(stack.url, name, { resume }));
    users.set(name, user);
    const got: string[] = [];
    streams.set(name, got);
    user.subscribe(
      { query: 'subscription { transactions { id } }', extensions: { from: 'earliest' } },
      {
        next: result => got.push(String((result.data as { transactions: { id: string } } | null)?.transactions.id)),
        error: error => process.stderr.write(`stream of ${name} ended: ${JSON.stringify(error)}\n`),
      },
    );
  }
  const sent: SentCommand[] = [];
  const accounts = new Map<string, { iban: string; token: string }>();
  const share = Math.ceil(commands / options.users);
  const habits = { freshIdOnRepeat: false, ...mutant?.habits };
  return {
    sent,
    async commands() {
      const all = [...users.values()].map((user, index) =>
        runUser(user, {
          random: seeded(seed * 1_000 + index),
          accounts,
          sent,
          habits,
          more: count => count < share,
        }),
      );
      await Promise.all(all);
    },
    async judge() {
      const [first] = accounts;
      if (first && mutant?.sabotage) {
        const [name, { iban }] = first;
        await mutant.sabotage(stack, { name, iban, partition: partitionOf(name, stack.partitions) });
      }
      await settled(users, streams, stack.postgres);
      mutant?.tamper?.(streams);
      const evidence = await collect(stack, users, sent, streams);
      const result = {
        findings: check(evidence),
        commands: sent.length,
        deliveries: [...streams.values()].reduce((sum, got) => sum + got.length, 0),
        reconnects: [...users.values()].reduce((sum, user) => sum + Math.max(0, user.connections() - 1), 0),
      };
      await Promise.all([...users.values()].map(user => user.close()));
      return result;
    },
  };
}

/** Streams and views have caught up when nothing has moved for three seconds and each view shows its ledger's balance, or after a minute. */
async function settled(
  users: ReadonlyMap<string, User>,
  streams: ReadonlyMap<string, string[]>,
  postgres: string,
): Promise<void> {
  const total = () => [...streams.values()].reduce((sum, got) => sum + got.length, 0);
  let [last, since] = [total(), Date.now()];
  await until(
    'streams to be quiet',
    () => {
      if (total() !== last) [last, since] = [total(), Date.now()];
      return Date.now() - since > 3_000;
    },
    60_000,
  );
  const ledger = await ledgerOf(postgres, users);
  const deadline = Date.now() + 10_000;
  for (const { owner, balance } of ledger) {
    for (;;) {
      const answer = await users.get(owner)?.post('{ account { balance } }');
      const account = answer?.data?.account as { balance: number } | null | undefined;
      if (account?.balance === balance || Date.now() > deadline) break;
      await new Promise(resolve => setTimeout(resolve, 200));
    }
  }
}

function print(title: string, result: ProofResult): void {
  const { findings, kills, seconds, ...counts } = result;
  process.stdout.write(
    `${title}: ${JSON.stringify({ ...counts, seconds: Math.round(seconds), kills: kills.join(' ') })}\n  ${JSON.stringify(findings)}\n`,
  );
}

/** Runs every mutant briefly, side by side; returns the names of those that were not caught by their check. */
export async function runMutants(stack: Stack, seed: number): Promise<string[]> {
  const all = Object.entries(mutants);
  const runs = all.map(([name, mutant], index): ProofOptions => {
    // Whoever forgets its cursor must have something to miss when a gateway dies.
    const [commands, users] = mutant.resume === undefined ? [100, 6] : [300, 12];
    return { commands, users, seed: seed + index, name: `${name}-${seed}`, mutant };
  });
  const results = await proveAll(stack, runs, { kills: 4, seed });
  const missed: string[] = [];
  for (const [index, [name, mutant]] of all.entries()) {
    const result = results[index];
    if (result === undefined) throw new Error(`${name} was not run`);
    print(`mutant ${name}`, result);
    if (result.findings[mutant.caughtBy] === 0) missed.push(name);
  }
  return missed;
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      commands: { type: 'string', default: '20000' },
      users: { type: 'string', default: '200' },
      kills: { type: 'string', default: '8' },
      seed: { type: 'string', default: '1' },
      mutants: { type: 'boolean', default: false },
    },
  });
  const seed = Number(values.seed);
  const stack = await startStack({ gateways: 2, handlers: 2 });
  try {
    const result = await prove(stack, {
      commands: Number(values.commands),
      users: Number(values.users),
      kills: Number(values.kills),
      seed,
      name: `proof-${seed}`,
    });
    print(`seed ${seed}`, result);
    const missed = values.mutants ? await runMutants(stack, seed) : [];
    if (values.mutants) process.stdout.write(`mutants missed: ${missed.length === 0 ? 'none' : missed.join(' ')}\n`);
    process.exitCode = violations(result.findings) === 0 && missed.length === 0 ? 0 : 1;
  } finally {
    await stack.stop();
  }
}
