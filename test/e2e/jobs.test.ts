import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { root } from '../../dev/stack/options.ts';
import { account, transferMoney, verdictOf } from '../support/bank.ts';
import { freePorts } from '../support/free-ports.ts';
import { runJob } from '../support/job.ts';
import { logIn } from '../support/log-in.ts';
import { type Stack, sharedStack } from '../support/stack.ts';
import { openUser } from '../support/user.ts';

const bank = join(root, 'apps/bank');
const schema = join(bank, 'schema.graphql');

let stack: Stack;
let folder: string;
before(async () => {
  stack = await sharedStack();
  folder = await mkdtemp(join(tmpdir(), 'penstock-jobs-'));
});
after(() => rm(folder, { recursive: true, force: true }));

async function tokenFile(user: string): Promise<string> {
  const file = join(folder, randomUUID());
  await writeFile(file, `${await logIn(stack.url, user)}\n`);
  return file;
}

test("the chart's test of the bank signs a user up, and sees a command's feedback and its event", async () => {
  const run = await runJob('helm-test', ['--url', stack.url, '--bank']);
  assert.equal(run.code, 0, run.stdout + run.stderr);
  assert.match(run.stdout, /logged in.*first cursor.*has its feedback.*event has come.*passed/s);
});

test("the chart's test of the bank takes a token, and can be run again with it", async () => {
  const file = await tokenFile(`helm-${randomUUID()}`);
  for (const _ of [1, 2]) {
    const run = await runJob('helm-test', ['--url', stack.url, '--bank', '--token-file', file]);
    assert.equal(run.code, 0, run.stdout + run.stderr);
    assert.doesNotMatch(run.stdout, /logged in/);
  }
});

test("the chart's test of any app subscribes to the first field that the token's roles allow", async () => {
  const own = await runJob('helm-test', [
    '--url',
    stack.url,
    '--schema',
    schema,
    '--token-file',
    await tokenFile('helm'),
  ]);
  assert.equal(own.code, 0, own.stdout + own.stderr);
  assert.match(own.stdout, /query type is Query.*subscribed to transactions, and got the first cursor.*passed/s);

  // A schema of the same app that has nothing but a field which needs a role.
  const narrow = join(folder, 'narrow.graphql');
  await writeFile(
    narrow,
    `type Query { rows: [Row!]! @view(table: "rows") }
     type Subscription { ledger: Row! @records(topic: "balance_changed", scope: ALL) @requiresRole(anyOf: ["auditor"]) }
     type Row @table(name: "rows", topics: ["balance_changed"], id: ["iban"]) { iban: String! }`,
  );
  const refused = await runJob('helm-test', [
    '--url',
    stack.url,
    '--schema',
    narrow,
    '--token-file',
    await tokenFile('helm'),
  ]);
  assert.equal(refused.code, 1, refused.stdout);
  assert.match(refused.stderr, /roles \(none\) allow none of the @records fields ledger/);
  const auditor = await tokenFile('auditor');
  const allowed = await runJob('helm-test', ['--url', stack.url, '--schema', narrow, '--token-file', auditor]);
  assert.equal(allowed.code, 0, allowed.stdout + allowed.stderr);
});

test("the chart's test fails, and says where, with a token that is none and where nobody listens", async () => {
  const file = join(folder, 'forged');
  await writeFile(file, 'not.a.token');
  const forged = await runJob('helm-test', ['--url', stack.url, '--bank', '--token-file', file]);
  assert.equal(forged.code, 1);
  assert.match(forged.stderr, /POST \/route: 401/);
  const [port] = await freePorts(1);
  const late = await runJob('helm-test', ['--url', `http://127.0.0.1:${port}`, '--bank', '--timeout-seconds', '1']);
  assert.equal(late.code, 1);
  assert.match(late.stderr, /logging in: the time is over: fetch failed: connect ECONNREFUSED/);
});

test('topics and tables are set up beside services that run, and commands go on', async () => {
  const user = await openUser(stack.url, `beside-${randomUUID()}`);
  const own = await account(user);
  const env = {
    PENSTOCK_SCHEMA: schema,
    PENSTOCK_APP_FOLDER: bank,
    PENSTOCK_KAFKA_BROKERS: stack.kafka.join(','),
    PENSTOCK_KAFKA_PARTITIONS: String(stack.partitions),
    PENSTOCK_POSTGRES_URL: stack.postgres,
  };
  const services = '--services=router,gateway,command-handler,projector';
  let over = false;
  const setUp = Promise.all([runJob('setup', ['tables', services], env), runJob('setup', ['topics', services], env)]);
  void setUp.finally(() => (over = true));
  let commands = 0;
  for (; !over || commands < 3; commands++) {
    const answer = await user.mutate(transferMoney, { ...own, from: 'cash', to: own.iban, amount: 1 });
    assert.equal(verdictOf(answer).success, true);
  }
  for (const { code, stderr } of await setUp) assert.equal(code, 0, stderr);
  await user.close();
});
