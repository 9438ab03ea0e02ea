// runs apart: it kills the gateways of a stack of its own
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { after, before, test } from 'node:test';
import { backUp } from '../chaos/whole.ts';
import { type BankClient, openBank } from '../client/bank.ts';
import { type LineProxy, openLineProxy } from '../client/line-proxy.ts';
import { dieWithUs } from '../support/die-with-us.ts';
import { type DumpedRecord, dumpTopic, testKafka } from '../support/dump.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { runOr } from '../support/tools/cache.ts';
import { withoutTools } from '../support/tools/index.ts';
import { until } from '../support/until.ts';
import { goRecipe, pythonPackages, recipes } from './recipe-programs.ts';

/** Seconds; each recipe has to renew its token within the test. */
const tokenLifeSeconds = 25;

interface Recipe {
  name: string;
  /** What it is skipped with. */
  skip: string | false;
  command(): Promise<readonly [string, ...string[]]>;
  env?(): Promise<NodeJS.ProcessEnv>;
}

const curl = () => runOr('curl: apt-get install curl', 'curl', ['--version']);

const script = (name: string): Recipe => ({
  name,
  skip: false,
  command: async () => [process.execPath, `${name}.ts`],
});

const all: readonly Recipe[] = [
  script('graphql-ws'),
  script('apollo'),
  script('urql'),
  script('relay'),
  script('eventsource'),
  { name: 'curl', skip: await withoutTools(curl), command: async () => ['bash', 'curl.sh'] },
  {
    name: 'python',
    skip: await withoutTools(pythonPackages),
    command: async () => ['python3', 'python_gql.py'],
    env: async () => ({ PYTHONPATH: await pythonPackages(), PYTHONDONTWRITEBYTECODE: '1' }),
  },
  { name: 'go', skip: await withoutTools(goRecipe), command: async () => [await goRecipe()] },
];

/** A recipe that runs, and what it has printed. */
interface Running {
  recipe: Recipe;
  child: ChildProcess;
  /** Someone else who is logged in as the same user. */
  other: BankClient;
  lines(): string[];
  stderr(): string;
}

let stack: Stack;
let line: LineProxy;
let isDown = false;
let truth: DumpedRecord[];
const running: Running[] = [];

before(async () => {
  stack = await startStack({
    gateways: 2,
    env: { PENSTOCK_AUTH_TOKEN_TTL_SECONDS: String(tokenLifeSeconds), PENSTOCK_GATEWAY_PING_INTERVAL_MS: '1000' },
  });
  line = await openLineProxy(stack.url, { isDown: () => isDown });
  const startedMs = Date.now();
  for (const recipe of all.filter(({ skip }) => !skip)) running.push(await start(recipe));
  // Its own payment is the first one, 1; the others come from elsewhere.
  await got(1);
  await payAll(2);
  await got(2);

  isDown = true;
  line.cut();
  for (const amount of [3, 4]) await payAll(amount);
  isDown = false;
  await got(4);

  for (const name of ['gateway-0', 'gateway-1']) await backUp(stack, name, stack.kill(name, 'SIGKILL'));
  await payAll(5);
  await got(5);

  await until('the tokens have expired', () => Date.now() > startedMs + tokenLifeSeconds * 1_000);
  await payAll(6);
  await got(6);
  truth = await dumpTopic(testKafka(stack.kafka, stack.kafkaCaFile), 'balance_changed');
});

after(async () => {
  for (const { child, other } of running) {
    other.close();
    // bash has children of its own
    if (child.exitCode === null && child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }
  await line?.close();
  await stack?.stop();
});

async function start(recipe: Recipe): Promise<Running> {
  const user = userOf(recipe);
  const other = await openBank(stack.url, user);
  const [program, ...args] = await recipe.command();
  const env = { ...process.env, ...(await recipe.env?.()) };
  const child = spawn(program, [...args, line.url, user], { cwd: recipes, env, detached: true });
  dieWithUs(child);
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    child[name].setEncoding('utf8').on('data', (text: string) => {
      said[name] += text;
    });
  }
  return { recipe, child, other, lines: () => said.stdout.split('\n').slice(0, -1), stderr: () => said.stderr };
}

const userOf = ({ name }: Recipe) => `recipe-${name}`;
const payAll = (amount: number) => Promise.all(running.map(({ other }) => other.pay(amount)));
const eventsOf = ({ lines }: Running) => lines().flatMap(text => (text.includes('changedBy') ? [read(text)] : []));

/** Waits until all have so many events. One that does not get there fails in its own test. */
async function got(count: number): Promise<void> {
  const waiting = running.filter(one => one.child.exitCode === null);
  await until(`${count} events`, () => waiting.every(one => eventsOf(one).length >= count), 40_000).catch(() => {});
}

/** The innermost object of a line. */
function read(text: string): Record<string, unknown> {
  return JSON.parse(/\{[^{}]*\}/.exec(text)?.[0] ?? assert.fail(text));
}

for (const recipe of all) {
  test(`the recipe for ${recipe.name} loses no event, gets none twice, and pays once`, { skip: recipe.skip }, () => {
    const one = running.find(found => found.recipe === recipe) ?? assert.fail();
    const records = truth.filter(({ key }) => key === userOf(recipe)).map(({ value }) => value ?? {});
    assert.deepEqual(
      eventsOf(one).map(({ id, changedBy, newBalance }) => ({ id, changedBy, newBalance })),
      records.map(({ id, changedBy, newBalance }) => ({ id, changedBy, newBalance })),
      one.stderr(),
    );
    assert.deepEqual(
      records.map(({ changedBy }) => changedBy),
      [1, 2, 3, 4, 5, 6],
    );
    const verdicts = one.lines().flatMap(text => (text.includes('commandId') ? [read(text)] : []));
    assert.deepEqual(
      verdicts.map(({ success }) => success),
      [true, true],
      one.stderr(),
    );
    assert.equal(verdicts[0]?.commandId, verdicts[1]?.commandId);
  });
}
