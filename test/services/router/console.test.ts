import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { type Control, openControl } from '../../../dev/stack/control.ts';
import type { Owner, OwnerTable } from '../../../lib/ownership/types.ts';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { socketClient } from '../../support/socket-client.ts';
import { until } from '../../support/until.ts';
import { deadAddress, type Upstream, upstream } from '../../support/upstream.ts';

const roles = { PENSTOCK_AUTH_LOCAL_ROLES: '{"operator":["operator"]}', PENSTOCK_ROUTE_OWNER_WAIT_MS: '3000' };
const killed: (string | undefined)[] = [];
let scratch: ScratchPostgres;
let control: Control;
/** One of the local stack, and one of any other installation. */
let local: TestRouter;
let other: TestRouter;
/** By partition; what is not here has no owner. */
const owners = new Map<number, string>();
const open: Upstream[] = [];

const table: OwnerTable = {
  partitionCount: () => 8,
  owner: partition => ownerOf(partition),
  async waitForOwner(partition, _timeoutMs, not) {
    const owner = ownerOf(partition);
    return owner?.address === not?.address ? undefined : owner;
  },
  onDead: () => undefined,
  close: async () => undefined,
};

function ownerOf(partition: number): Owner | undefined {
  const address = owners.get(partition);
  return address === undefined ? undefined : { address, epoch: 1, generation: 1, memberId: address };
}

before(async () => {
  scratch = await scratchPostgres();
  control = await openControl(
    name => {
      killed.push(name);
      return name === 'gateway-9' ? undefined : (name ?? 'gateway-0');
    },
    () => undefined,
  );
  const { url } = control;
  local = await openTestRouter(scratch.url, { ...roles, PENSTOCK_CONSOLE_LOCAL_CONTROL: url }, { owners: table });
  other = await openTestRouter(scratch.url, roles, { owners: table });
});
after(async () => {
  await local.close();
  await other.close();
  await control.close();
  for (const gateway of open) await gateway.close();
  await scratch.drop();
});

async function gateway(): Promise<Upstream> {
  const made = await upstream({
    onRequest: (_request, response) => void response.writeHead(200, { 'content-type': 'application/json' }).end('{}'),
    onSocket: socket => socket.send('hello'),
  });
  open.push(made);
  return made;
}

async function ask(router: TestRouter, user: string, path: string, init: RequestInit = {}): Promise<Response> {
  const authorization = `Bearer ${await router.logIn(user)}`;
  return fetch(router.url + path, { method: 'POST', body: '{"query":"{ a }"}', ...init, headers: { authorization } });
}

test('a request of the console goes to any gateway that owns something, without a route token', async () => {
  const made = await gateway();
  owners.clear();
  owners.set(5, made.url);
  assert.equal((await ask(local, 'operator', '/console/graphql?a=b')).status, 200);
  const [request] = made.requests;
  assert.equal(request?.url, '/console/graphql?a=b');
  assert.equal(request?.headers['penstock-route'], undefined);
  assert.match(request?.headers.authorization ?? '', /^Bearer /);
});

test("where a gateway cannot be reached the next one is asked; ?partition= asks that partition's owner first", async () => {
  const [first, second] = [await gateway(), await gateway()];
  owners.clear();
  for (const [partition, { url }] of [first, second, first, second].entries()) owners.set(partition, url);
  for (const [partition, made] of [first, second].entries()) {
    const before = made.requests.length;
    assert.equal((await ask(local, 'operator', `/console/graphql?partition=${partition}`)).status, 200);
    assert.equal(made.requests.length, before + 1, `partition ${partition}`);
  }
  owners.set(0, await deadAddress());
  assert.equal((await ask(local, 'operator', '/console/graphql?partition=0')).status, 200);
  for (const odd of ['99', '-1', 'x']) {
    assert.equal((await ask(local, 'operator', `/console/graphql?partition=${odd}`)).status, 200, odd);
  }
});

test('without any gateway the console is UNAVAILABLE, within the wait', async () => {
  owners.clear();
  const response = await ask(local, 'operator', '/console/graphql');
  assert.deepEqual([response.status, response.headers.has('retry-after')], [503, true]);
});

test("POST /console/route gives the console's address, which joins a gateway over WebSocket", async () => {
  const made = await gateway();
  owners.clear();
  owners.set(3, made.url);
  const response = await ask(local, 'operator', '/console/route');
  const { url } = (await response.json()) as { url: string };
  assert.match(url, /^ws:\/\/[^/]+\/console\/graphql\?route=/);
  assert.match(response.headers.get('set-cookie') ?? '', /Path=\/console\/graphql;/);
  const client = socketClient(url);
  await client.opened;
  await until('what the gateway says', () => client.messages.includes('hello'));
  assert.equal(made.requests.at(-1)?.url, '/console/graphql');
  assert.equal(made.requests.at(-1)?.headers['penstock-route'], undefined);
  client.socket.terminate();
});

test('in the local stack an operator has a gateway killed, and nobody else', async () => {
  const kill = (user: string, body: string) => ask(local, user, '/console/local/kill', { body });
  assert.deepEqual(await (await kill('operator', '{"instance":"gateway-1"}')).json(), { killed: 'gateway-1' });
  assert.deepEqual(await (await kill('operator', '')).json(), { killed: 'gateway-0' });
  const before = killed.length;
  assert.equal((await kill('somebody', '{}')).status, 403);
  assert.equal((await kill('operator', '{"signal":"SIGTERM"}')).status, 400);
  assert.equal((await fetch(`${local.url}/console/local/kill`, { method: 'POST' })).status, 401);
  assert.equal(killed.length, before);
  assert.equal((await kill('operator', '{"instance":"gateway-9"}')).status, 409);
  const settings = await ask(local, 'operator', '/console/settings', { method: 'GET', body: null });
  assert.deepEqual(await settings.json(), { local: true });
});

test('in any other installation there is nothing at that path, for anybody', async () => {
  for (const user of ['operator', 'somebody']) {
    assert.equal((await ask(other, user, '/console/local/kill')).status, 404);
  }
  assert.equal((await fetch(`${other.url}/console/local/kill`, { method: 'POST' })).status, 404);
  const get = { method: 'GET', body: null };
  assert.deepEqual(await (await ask(other, 'operator', '/console/settings', get)).json(), { local: false });
  assert.equal((await ask(other, 'somebody', '/console/settings', get)).status, 403);
});

test('the control of the local stack takes nothing without its secret path', async () => {
  const { origin } = new URL(control.url);
  const before = killed.length;
  for (const path of ['/', '/kill', `/${'a'.repeat(32)}/kill`]) {
    assert.equal((await fetch(origin + path, { method: 'POST', body: '{}' })).status, 404, path);
  }
  assert.equal((await fetch(control.url)).status, 404, 'GET');
  assert.equal((await fetch(control.url, { method: 'POST', body: 'x'.repeat(10_000) })).status, 400);
  assert.equal(killed.length, before);
});
