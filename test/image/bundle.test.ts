// runs apart: a stack of its own, whose services are bundles
import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import pg from 'pg';
import { type Service, services } from '../../dev/stack/options.ts';
import { type ServiceContext, servesHttp, serviceVariables } from '../../dev/stack/services.ts';
import { bundle } from '../../image/bundle.ts';
import { type LogLevel, logEvents } from '../../lib/ops/log-events.ts';
import { account, collector, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { dieWithUs } from '../support/die-with-us.ts';
import { freePorts } from '../support/free-ports.ts';
import { runJob } from '../support/job.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { openTraceCollector, type TraceCollector } from '../support/trace-collector.ts';
import { until } from '../support/until.ts';
import { openUser } from '../support/user.ts';

let folder: string;
let servers: Stack;
const processes = new Map<Service, { child: ChildProcess; admin: number; said: string[] }>();
let url: string;
let traces: TraceCollector;

before(async () => {
  traces = await openTraceCollector();
  folder = await mkdtemp(join(tmpdir(), 'penstock-bundle-'));
  [servers] = await Promise.all([startStack({ services: false }), bundle(folder)]);
  const [publicPort = 0] = await freePorts(1);
  url = `http://127.0.0.1:${publicPort}`;
  const { kafka, redis, postgres } = servers;
  const context: ServiceContext = {
    addresses: { kafka: [...kafka], kafkaCaFile: undefined, redis, postgres },
    ...{ brokers: 1, partitions: () => 6, publicPort, app: join(folder, 'apps/bank'), siteFolder: undefined },
    ...{ given: {}, env: {} },
    cursorSecrets: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
  };
  for (const service of services) {
    const [admin = 0, http = 0] = await freePorts(2);
    const variables = serviceVariables(service, { admin, http: servesHttp(service) ? http : undefined }, context);
    const script = join(folder, 'services', service, 'main.js');
    const child = dieWithUs(
      spawn(process.execPath, [script], {
        env: {
          ...variables,
          PENSTOCK_APP_FOLDER: join(folder, 'apps/bank'),
          PENSTOCK_TRACING_ENDPOINT: traces.url,
          PENSTOCK_TRACING_INTERVAL_MS: '50',
        },
        cwd: folder,
        stdio: ['ignore', 'ignore', 'pipe'],
      }),
    );
    const said: string[] = [];
    child.stderr?.setEncoding('utf8').on('data', (text: string) => said.push(text));
    processes.set(service, { child, admin, said });
  }
});

after(async () => {
  for (const { child } of processes.values()) child.kill('SIGKILL');
  await servers?.stop();
  await traces?.close();
  await rm(folder, { recursive: true, force: true });
});

test('the services, each as one file, serve the bank: a command, its feedback and its event', async () => {
  for (const [service, { admin, child, said }] of processes) {
    await until(`${service} is ready`, async () => {
      assert.equal(child.exitCode, null, said.join(''));
      return fetch(`http://127.0.0.1:${admin}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }
  const alice = await openUser(url, 'alice');
  const own = await account(alice);
  const seen = collector();
  const stream = alice.subscribe({ query: transactions }, seen);
  await until('the stream has a cursor', () => stream.cursor() !== undefined);
  const answer = await alice.mutate(transferMoney, { ...own, from: 'cash', to: own.iban, amount: 100 });
  assert.equal(verdictOf(answer).success, true);
  await until('the event has come', () => seen.got.length === 1);
  await until('the view shows it', async () => {
    const { data } = await alice.post('{ account { balance } }');
    return (data.account as { balance: number } | null)?.balance === 100;
  });
  await alice.close();
  for (const { said } of processes.values()) assert.doesNotMatch(said.join(''), /watchdog has ended/);
});

test("the chart's test passes, from its bundle", async () => {
  const run = await runJob(join(folder, 'jobs/helm-test.js'), ['--url', url, '--bank']);
  assert.equal(run.code, 0, run.stdout + run.stderr);
});

test('the tables of an app whose commands.ts is in a ConfigMap are set up, from the bundle', async () => {
  // As the kubelet writes it: links that it can change all at once.
  const mount = join(folder, 'configmap');
  await mkdir(join(mount, '..2026_11_30'), { recursive: true });
  await writeFile(
    join(mount, '..2026_11_30/commands.ts'),
    `import type { CommandApp } from '../../lib/app/commands.ts';
     const app: CommandApp<null, never> = {
       migrations: ['CREATE SCHEMA IF NOT EXISTS own', 'CREATE TABLE IF NOT EXISTS own.things (id text PRIMARY KEY)'],
       load: async () => null,
       decide: () => ({ feedback: {}, verdict: 'accepted', changes: [], events: [] }),
       save: async () => undefined,
       reject: (commandId, reason) => ({ commandId, reason }),
     };
     export default app;`,
  );
  await symlink('..2026_11_30', join(mount, '..data'));
  await symlink('..data/commands.ts', join(mount, 'commands.ts'));
  const run = await runJob(join(folder, 'jobs/setup.js'), ['tables', '--services=command-handler'], {
    PENSTOCK_SCHEMA: 'type Query { _: Boolean }',
    PENSTOCK_APP_FOLDER: mount,
    PENSTOCK_POSTGRES_URL: servers.postgres,
  });
  assert.equal(run.code, 0, run.stderr);
  const client = new pg.Client({ connectionString: servers.postgres });
  await client.connect();
  const { rowCount } = await client.query(`SELECT FROM pg_tables WHERE schemaname = 'own' AND tablename = 'things'`);
  await client.end();
  assert.equal(rowCount, 1);
});

test('each that is on the way of a command sends its traces', async () => {
  const senders = ['penstock-command-handler', 'penstock-gateway', 'penstock-router'];
  await until('spans of all three', () => new Set(traces.spans.map(({ service }) => service)).size === senders.length);
  assert.deepEqual([...new Set(traces.spans.map(({ service }) => service))].sort(), senders);
});

test('each ends with code 0 after SIGTERM', async () => {
  for (const { child } of processes.values()) child.kill('SIGTERM');
  for (const [service, { child, said }] of processes) {
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    assert.equal(child.exitCode, 0, `${service}: ${said.join('')}`);
  }
});

test('whatever they have said is a line with an event of its level', () => {
  for (const [service, { said }] of processes) {
    const lines = said.join('').trimEnd().split('\n');
    assert.ok(lines.length >= 4, `${service} said that it began, served, drained and stopped`);
    for (const line of lines) {
      const { level, event } = JSON.parse(line) as { level: LogLevel; event: string };
      assert.ok(event in logEvents[level], `${service}: ${line}`);
    }
  }
});
