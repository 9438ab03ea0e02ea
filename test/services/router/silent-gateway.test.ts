import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { partitionOf } from '../../../lib/kafka/index.ts';
import { type ClaimedGateways, openClaimedGateways } from '../../support/claimed-gateways.ts';
import { openTestRouter, type TestRouter } from '../../support/router.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { type SocketClient, socketClient } from '../../support/socket-client.ts';
import { until } from '../../support/until.ts';
import { type Upstream, upstream } from '../../support/upstream.ts';

const partitions = 8;
let scratch: ScratchPostgres;
let gateways: ClaimedGateways;
let router: TestRouter;
let alice: string;
const servers: Upstream[] = [];
before(async () => {
  scratch = await scratchPostgres();
  gateways = await openClaimedGateways(partitions, 50);
  router = await openTestRouter(scratch.url, {}, { owners: gateways.table });
  alice = await router.logIn('alice');
});
after(async () => {
  await router.close();
  await gateways.close();
  for (const server of servers) await server.close();
  await scratch.drop();
});

async function echoing(name: string) {
  const server = await upstream({
    onSocket: socket => socket.on('message', text => socket.send(`${name} ${text}`)),
    onRequest(request, response) {
      const isStream = request.headers.accept === 'text/event-stream';
      response.writeHead(200, { 'content-type': isStream ? 'text/event-stream' : 'application/json' });
      if (isStream) response.write(`event: next\ndata: ${name}\n\n`);
      else response.end(JSON.stringify({ data: name }));
    },
  });
  servers.push(server);
  return { server, gateway: await gateways.gateway(name, server.url) };
}

function connect(query = ''): SocketClient {
  const headers = { authorization: `Bearer ${alice}` };
  return socketClient(`${router.url.replace('http', 'ws')}/graphql${query}`, { headers });
}

async function heardFrom({ socket, opened, messages }: SocketClient): Promise<string | undefined> {
  await opened;
  const before = messages.length;
  socket.send('hello');
  await until('the echo', () => messages.length > before);
  return messages.at(-1);
}

async function ask(): Promise<string> {
  const response = await fetch(`${router.url}/graphql`, {
    method: 'POST',
    headers: { authorization: `Bearer ${alice}`, 'content-type': 'application/json' },
    body: '{"query":"{ a }"}',
  });
  return ((await response.json()) as { data: string }).data;
}

/** A stream of events; `ended` resolves with all that came when it was ended properly. */
async function stream(): Promise<{ ended: Promise<string> }> {
  const headers = { authorization: `Bearer ${alice}`, accept: 'text/event-stream' };
  const response = await fetch(`${router.url}/graphql?query=subscription`, { headers });
  assert.equal(response.status, 200);
  return { ended: response.text() };
}

test('clients of a gateway that the router cannot reach are closed with 1012 and served by another, until it can', async () => {
  const { server: owner, gateway } = await echoing('owner');
  const { server: other, gateway: stranger } = await echoing('other');
  const mine = partitionOf('alice', partitions);
  await gateway.claim(mine);
  await stranger.claim(...Array.from({ length: partitions }, (_, partition) => partition).filter(it => it !== mine));
  await until('all is owned', () => gateways.table.owner(mine) && gateways.table.owner((mine + 1) % partitions));

  const moved = connect();
  assert.equal(await heardFrom(moved), 'owner hello');
  assert.equal(typeof owner.requests.at(-1)?.headers['penstock-route'], 'string');
  const events = await stream();
  gateway.fallSilent();
  assert.equal((await moved.closed).code, 1012);
  assert.equal(await events.ended, 'event: next\ndata: owner\n\n');

  // With a route token or without, over either protocol: there is no gateway that such a token is for.
  const askedOwner = owner.requests.length;
  const token = await router.routeToken(alice);
  const guests = [connect(), connect(`?route=${token}`)];
  for (const guest of guests) assert.equal(await heardFrom(guest), 'other hello');
  assert.equal(await ask(), 'other');
  assert.equal(owner.requests.length, askedOwner);
  for (const { url, headers } of other.requests)
    assert.deepEqual([url, headers['penstock-route']], ['/graphql', undefined]);
  assert.match(await router.metric('penstock_router_routed_total'), /stood_in=3/);

  gateway.speak();
  await until('the owner is asked again', () => gateways.table.owner(mine)?.standsIn === undefined);
  const back = connect(`?route=${token}`);
  assert.equal(await heardFrom(back), 'owner hello');
  assert.equal(owner.requests.at(-1)?.headers['penstock-route'], token);
  assert.equal(await ask(), 'owner');
  for (const guest of guests) assert.equal(await heardFrom(guest), 'other hello');
  for (const { socket } of [...guests, back]) socket.terminate();
});
