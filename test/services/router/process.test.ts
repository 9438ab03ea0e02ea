import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { type LogLevel, logEvents } from '../../../lib/ops/log-events.ts';
import { dieWithUs } from '../../support/die-with-us.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';
import { deadAddress } from '../../support/upstream.ts';

const main = fileURLToPath(new URL('../../../services/router/main.ts', import.meta.url));
const site = fileURLToPath(new URL('../../support/site', import.meta.url));
const schema = `type Query { notes: [Note!]! @view(table: "note") }
  type Note @table(name: "note", topics: ["nowhere"], id: ["id"]) { id: ID! }`;

interface Line {
  level: LogLevel;
  event: string;
  message: string;
  admin?: string;
  urls?: string[];
  problems?: string[];
}

interface RouterProcess {
  child: ChildProcess;
  lines: Line[];
  line(message: string): Promise<Line>;
  reasons(): Promise<Record<string, string>>;
}

let scratch: ScratchPostgres;
let deadKafka: string;
let deadRedis: string;
const started: ChildProcess[] = [];
before(async () => {
  scratch = await scratchPostgres();
  deadKafka = new URL(await deadAddress()).host;
  deadRedis = `redis://${new URL(await deadAddress()).host}`;
});
after(async () => {
  for (const child of started.filter(({ exitCode, signalCode }) => exitCode === null && signalCode === null)) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await scratch.drop();
});

function start(variables: Readonly<Record<string, string>>): RouterProcess {
  const child = spawn(process.execPath, [main], {
    env: { PATH: process.env.PATH, PENSTOCK_SITE_FOLDER: site, ...variables },
    stdio: ['ignore', 'ignore', 'pipe'],
  });
  dieWithUs(child);
  started.push(child);
  let text = '';
  const lines: Line[] = [];
  child.stderr?.on('data', (chunk: Buffer) => {
    const parts = (text + chunk.toString()).split('\n');
    text = parts.pop() ?? '';
    for (const part of parts) {
      const said = JSON.parse(part) as Line;
      assert.ok(said.event in logEvents[said.level], `${part} carries an event of its level`);
      lines.push(said);
    }
  });
  const line = (message: string): Promise<Line> =>
    until(`the line "${message}"`, () => lines.find(candidate => candidate.message === message));
  return {
    child,
    lines,
    line,
    async reasons() {
      const response = await fetch(`${(await line('admin port open')).admin}/readyz`);
      const { reasons = {} } = (await response.json()) as { reasons?: Record<string, string> };
      assert.equal(response.status, Object.keys(reasons).length === 0 ? 200 : 503);
      return reasons;
    },
  };
}

const variables = (): Record<string, string> => ({
  PENSTOCK_SCHEMA: schema,
  PENSTOCK_KAFKA_BROKERS: deadKafka,
  PENSTOCK_REDIS_URL: deadRedis,
  PENSTOCK_POSTGRES_URL: scratch.url,
  PENSTOCK_ROUTE_JWKS_URL: 'http://127.0.0.1:1/',
  PENSTOCK_AUTH_LOCAL_SIGN_UP: 'true',
});

describe('the router process', () => {
  test('lives without Kafka and Redis, names them as reasons, logs in, and drains to exit code 0', async () => {
    const router = start(variables());
    await until('the reasons are named', async () => {
      const reasons = await router.reasons();
      return 'owners' in reasons && 'redis' in reasons && !('postgres' in reasons) && !('keys' in reasons);
    });
    const [url = ''] = (await router.line('serving')).urls ?? [];
    const login = await fetch(`${url}/login`, { method: 'POST', body: '{"username":"alice","password":"pw"}' });
    assert.equal(login.status, 200);
    const { accessToken } = (await login.json()) as { accessToken: string };
    for (const path of ['/graphql', '/route']) {
      const response = await fetch(url + path, { method: 'POST', headers: { authorization: `Bearer ${accessToken}` } });
      assert.equal(response.status, 503, path);
      assert.match(response.headers.get('retry-after') ?? '', /^\d+$/);
    }
    router.child.kill('SIGTERM');
    assert.deepEqual(await once(router.child, 'exit'), [0, null]);
  });

  test('shares its public port with others, and goes without a gap', async () => {
    const port = new URL(await deadAddress()).port;
    const listen = { ...variables(), PENSTOCK_HTTP_LISTEN: `127.0.0.1:0,127.0.0.1:${port}` };
    const [one, other] = [start(listen), start(listen)];
    await Promise.all([one.line('serving'), other.line('serving')]);
    one.child.kill('SIGTERM');
    assert.deepEqual(await once(one.child, 'exit'), [0, null]);
    const response = await fetch(`http://127.0.0.1:${port}/`);
    assert.equal(response.status, 200);
    await response.text();
    other.child.kill('SIGTERM');
    await once(other.child, 'exit');
  });

  test('ends in order when it is told to while it starts', async () => {
    const router = start(variables());
    await router.line('admin port open');
    router.child.kill('SIGTERM');
    assert.deepEqual(await once(router.child, 'exit'), [0, null]);
  });

  test('refuses a bad configuration in one line, everything in it', async () => {
    const router = start({ PENSTOCK_HTTP_LISTEN: 'x', PENSTOCK_ROUTE_OWNER_WAIT_MS: 'soon', PENSTOCK_TYPO: '1' });
    assert.deepEqual(await once(router.child, 'exit'), [1, null]);
    assert.equal(router.lines.length, 1);
    const problems = router.lines[0]?.problems?.join('\n') ?? '';
    for (const name of ['OWNER_WAIT_MS', 'TYPO', 'KAFKA_BROKERS', 'POSTGRES_URL'])
      assert.match(problems, new RegExp(name));
  });

  test('says in one line that its port is taken', async () => {
    const { createServer } = await import('node:net');
    const holder = createServer().listen(0, '127.0.0.1').unref();
    await once(holder, 'listening');
    const { port } = holder.address() as { port: number };
    const router = start({ ...variables(), PENSTOCK_HTTP_LISTEN: `127.0.0.1:${port}` });
    assert.deepEqual(await once(router.child, 'exit'), [1, null]);
    assert.match(router.lines.findLast(({ level }) => level === 'fatal')?.message ?? '', /EADDRINUSE/);
    holder.close();
  });
});
