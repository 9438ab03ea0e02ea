import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { filesOf } from '../../dev/stack/folder.ts';
import { type Account, account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

let stack: Stack;
let alice: User;
let hers: Account;
const awayMs = 10_000;

before(async () => {
  // The first of each lives through the outages, the second is started in the middle of one.
  stack = await startStack({ routers: 2, gateways: 2, handlers: 2, projectors: 2 });
  alice = await openUser(stack.url, 'alice');
  hers = await account(alice);
});

after(async () => {
  await alice?.close();
  await stack?.stop();
});

async function readiness(name: string): Promise<{ status: number; reasons: string[] }> {
  const response = await fetch(`${stack.process(name).admin}/readyz`);
  const body = (await response.json()) as { reasons?: Record<string, string> };
  return { status: response.status, reasons: Object.keys(body.reasons ?? {}) };
}

/** The end of each log: the folder goes with the stack. */
function endOfLogs(): string {
  const { logs } = filesOf(stack.folder);
  const ends = readdirSync(logs).map(name => {
    const lines = readFileSync(join(logs, name), 'utf8').trimEnd().split('\n');
    return `${name}:\n${lines.slice(-3).join('\n').slice(-400)}`;
  });
  return ends.join('\n');
}

/** Who is not ready, and why; empty when all are. */
async function notReady(): Promise<string[]> {
  const processes = stack.processes();
  const answers = await Promise.all(
    processes.map(async ({ name, admin }) => {
      const response = await fetch(`${admin}/readyz`).catch(() => undefined);
      return response?.status === 200 ? [] : [`${name}: ${(await response?.text()) ?? 'no answer'}`];
    }),
  );
  return processes.length === 8 ? answers.flat() : [`${processes.length} of 8 processes`, ...answers.flat()];
}

/** Who cannot work without it, and so is not ready. */
const dependants: Readonly<Record<string, { reason: string; services: readonly string[] }>> = {
  'kafka-1': { reason: 'kafka', services: ['gateway', 'command-handler', 'projector'] },
  redis: { reason: 'redis', services: ['gateway'] },
  postgres: { reason: 'postgres', services: ['router', 'gateway', 'command-handler', 'projector'] },
};

for (const [server, { reason, services }] of Object.entries(dependants)) {
  test(`${server} goes away for 10 s`, async t => {
    const seen = collector();
    const stream = alice.subscribe({ query: transactions }, seen);
    await until('a cursor', () => stream.cursor() !== undefined);
    const before = new Map(stack.processes().map(({ name, pid }) => [name, pid]));
    const runs = services.map(service => `${service}-0`);
    const starts = services.map(service => `${service}-1`);
    const misses = (name: string) =>
      readiness(name).then(
        ({ status, reasons }) => status === 503 && reasons.includes(reason),
        () => false,
      );
    const gone = Date.now();
    await stack.down(server);

    await t.test('its dependants say so', async () => {
      for (const name of [...runs, ...starts]) await until(`${name} to miss ${reason}`, () => misses(name));
    });
    await t.test('those that are started meanwhile run, and say so as well', async () => {
      for (const name of starts) stack.kill(name);
      for (const name of starts) {
        await until(`${name} to be up and miss ${reason}`, () => {
          const pid = stack.processes().find(candidate => candidate.name === name)?.pid;
          return pid !== undefined && pid !== before.get(name) && misses(name);
        });
      }
    });
    await until('10 s to pass', () => Date.now() - gone >= awayMs);
    const started = new Map(stack.processes().map(({ name, pid }) => [name, pid]));
    await stack.up(server);

    await t.test('once it is there everybody is ready, without a restart', async () => {
      let late: string[] = [];
      const everybodyIsReady = async () => {
        late = await notReady();
        return late.length === 0;
      };
      const awaited = () => `everybody to be ready again (${late.join('; ')})`;
      await until(awaited, everybodyIsReady, 150_000).catch((error: unknown) => {
        console.log(endOfLogs());
        throw error;
      });
      assert.deepEqual(new Map(stack.processes().map(({ name, pid }) => [name, pid])), started);
      for (const [name, pid] of before) if (!starts.includes(name)) assert.equal(started.get(name), pid, name);
    });
    await t.test('the stream that was open goes on, once', async () => {
      const paid = await alice.mutate(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount: 3 });
      assert.equal(verdictOf(paid).success, true);
      await until('the event on the old stream', () => seen.got.length > 0);
      assert.equal(seen.got.length, 1);
      stream.stop();
    });
  });
}
