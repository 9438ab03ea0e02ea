import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Account, account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { openUser, type User } from '../support/client.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

let stack: Stack;
let alice: User;
let hers: Account;
const awayMs = 10_000;

before(async () => {
  stack = await startStack({ gateways: 1 });
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

const everybodyIsReady = async () => {
  const answers = await Promise.all(stack.processes().map(({ name }) => readiness(name).catch(() => undefined)));
  return answers.length === 4 && answers.every(answer => answer?.status === 200);
};

/** Who cannot work without it, and so is not ready. */
const dependants: Readonly<Record<string, { reason: string; services: readonly string[] }>> = {
  'kafka-1': { reason: 'kafka', services: ['gateway-0', 'command-handler-0', 'projector-0'] },
  redis: { reason: 'redis', services: ['gateway-0'] },
  postgres: { reason: 'postgres', services: ['router-0', 'gateway-0', 'command-handler-0', 'projector-0'] },
};

for (const [server, { reason, services }] of Object.entries(dependants)) {
  test(`${server} goes away for 10 s: its dependants say so and recover by themselves, and the stream goes on`, async () => {
    const seen = collector();
    const stream = alice.subscribe({ query: transactions }, seen);
    await until('a cursor', () => stream.cursor() !== undefined);
    const pids = stack.processes().map(({ pid }) => pid);
    const gone = Date.now();
    await stack.down(server);
    for (const service of services) {
      await until(`${service} to miss ${reason}`, async () => {
        const { status, reasons } = await readiness(service);
        return status === 503 && reasons.includes(reason);
      });
    }
    await until('10 s to pass', () => Date.now() - gone >= awayMs);
    await stack.up(server);
    await until('everybody to be ready again', everybodyIsReady, 60_000);
    assert.deepEqual(
      stack.processes().map(({ pid }) => pid),
      pids,
      'somebody was restarted',
    );
    const paid = await alice.mutate(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount: 3 });
    assert.equal(verdictOf(paid).success, true);
    await until('the event on the old stream', () => seen.got.length > 0);
    assert.equal(seen.got.length, 1);
    stream.stop();
  });

  test(`${server} is absent when its dependants start: each says so, and is ready once it is there`, async () => {
    await stack.down(server);
    const before = new Map(services.map(name => [name, stack.process(name).pid]));
    for (const name of services) stack.kill(name);
    for (const name of services) {
      await until(`${name} to be up and miss ${reason}`, async () => {
        const process = stack.processes().find(candidate => candidate.name === name);
        if (process === undefined || process.pid === before.get(name)) return false;
        const answer = await readiness(name).catch(() => undefined);
        return answer?.status === 503 && answer.reasons.includes(reason);
      });
    }
    await stack.up(server);
    await until('everybody to be ready', everybodyIsReady, 60_000);
    const paid = await alice.mutate(transferMoney, { ...hers, from: 'cash', to: hers.iban, amount: 1 });
    assert.equal(verdictOf(paid).success, true);
  });
}
