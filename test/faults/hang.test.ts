import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { filesOf } from '../../dev/stack/folder.ts';
import { backUp } from '../chaos/whole.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { mutantVariables } from '../support/mutate.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

/** A document that hangs a gateway: the next defect of that kind, whichever it will be. */
const hang = {
  file: 'services/gateway/graphql/engine.ts',
  find: 'const checked = documents.check(request.query);',
  replace: "if (request.operationName === 'Hang') for (;;);\n      const checked = documents.check(request.query);",
};

let stack: Stack;
let alice: User;

before(async () => {
  const env = { ...mutantVariables(hang), PENSTOCK_WATCHDOG_TIMEOUT_MS: '2000' };
  stack = await startStack({ gateways: 2, env });
  alice = await openUser(stack.url, 'alice');
});

after(async () => {
  await alice?.close();
  await stack?.stop();
});

/** The gateway that has a client's connection. */
async function serving(): Promise<string | undefined> {
  for (const { name, service, admin } of stack.processes()) {
    if (service !== 'gateway') continue;
    const metrics = await (await fetch(`${admin}/metrics`)).text();
    if (/^penstock_gateway_connections [1-9]/m.test(metrics)) return name;
  }
  return undefined;
}

test('a gateway that hangs ends by itself, says why, and is started again; its clients get every event, each once and in order', async () => {
  const { token, iban } = await account(alice);
  const seen = collector();
  const stream = alice.subscribe({ query: transactions }, seen);
  await until('the stream has begun', () => stream.cursor() !== undefined);
  const pay = async (amount: number) =>
    assert.equal(verdictOf(await alice.mutate(transferMoney, { token, from: 'cash', to: iban, amount })).success, true);
  await pay(1);
  const name = await until('the gateway that serves alice', serving);
  const pid = stack.pid(name);
  assert.ok(pid);

  const body = JSON.stringify({ query: 'query Hang { __typename }', operationName: 'Hang' });
  const headers = { 'content-type': 'application/json', authorization: `Bearer ${alice.accessToken()}` };
  const signal = AbortSignal.timeout(30_000);
  const answer = fetch(`${stack.process(name).url}/graphql`, { method: 'POST', headers, body, signal });
  await assert.rejects(answer, /fetch failed/, 'the connection is reset');

  await pay(2);
  await until('both events', () => seen.got.length >= 2);
  assert.deepEqual(
    seen.got.map(({ changedBy }) => changedBy),
    [1, 2],
  );
  assert.deepEqual(seen.errors, []);
  await backUp(stack, name, pid);
  const log = readFileSync(join(filesOf(stack.folder).logs, `${name}.log`), 'utf8');
  const said = log.split('\n').filter(line => line.includes('event_loop_stood_still'));
  assert.equal(said.length, 1);
  assert.equal(JSON.parse(said[0] ?? '').pid, pid);
});
