import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { standIn } from '../../../lib/ownership/owners.ts';
import { openPeerPort } from '../../../lib/ownership/peer-port.ts';
import { watchPeers } from '../../../lib/ownership/peer-watch.ts';
import type { Owner } from '../../../lib/ownership/types.ts';
import { openClaimedGateways } from '../../support/claimed-gateways.ts';
import { quietOps } from '../../support/quiet-ops.ts';
import { openTcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';

const silenceMs = 400;
const nowhere = 'http://127.0.0.1:9';

/** Who watches and does not judge: a router. */
function watching(t: TestContext) {
  const evicted: string[] = [];
  const silent: string[] = [];
  const watch = watchPeers({
    silenceMs,
    evict: async memberId => void evicted.push(memberId),
    onSilent: peer => void silent.push(peer),
    log: quietOps().log,
  });
  t.after(() => watch.close());
  return { evicted, silent, watch };
}

/** A peer at the end of a link that can fall silent. */
async function distant(t: TestContext) {
  const port = await openPeerPort({ listen: '127.0.0.1:0', probeIntervalMs: silenceMs / 4 });
  port.say('distant');
  const [host = '', number] = port.address.split(':');
  const link = await openTcpProxy({ host, port: Number(number) });
  await link.mend();
  t.after(async () => {
    await link.close();
    await port.close();
  });
  return { port, link, address: `127.0.0.1:${link.port}` };
}

test('a peer that is silent to a router is known to be, is not put out, and is known to be back when it is heard', async t => {
  const { evicted, silent, watch } = watching(t);
  const { link, address } = await distant(t);
  watch.follow([address]);
  await until('it is watched', () => watch.watched() === 1);
  assert.equal(watch.silentForMs(address), undefined);
  link.silence();
  await until('it is found to be silent', () => silent.length > 0);
  assert.ok((watch.silentForMs(address) ?? -1) >= 0);
  const tried = link.unanswered();
  await until('it is asked again', () => link.unanswered() > tried);
  link.unsilence();
  await until('it is heard again', () => watch.silentForMs(address) === undefined);
  assert.deepEqual([silent, evicted], [[address], []]);
});

test('a peer that was never heard is silent too; one that is refused is dead', async t => {
  const { evicted, silent, watch } = watching(t);
  const [mute, mortal] = [await distant(t), await distant(t)];
  mute.link.silence();
  watch.follow([mute.address, mortal.address]);
  await until('one is watched', () => watch.watched() === 1);
  await mortal.link.cut();
  await until('one is silent, the other is out', () => silent.length > 0 && evicted.length > 0);
  assert.deepEqual([silent, evicted], [[mute.address], ['distant']]);
});

const owner = (address: string): Owner => ({ address, epoch: 7, generation: 3, memberId: address });
const partitions = Array.from({ length: 300 }, (_, partition) => partition);

test('one gateway stands in for all clients of a partition, and the partitions are spread over those that can', () => {
  const owners = ['a', 'b', 'c', 'd', 'a', 'b'].map(owner);
  const chosen = (can: (owner: Owner) => boolean, among = owners) =>
    partitions.map(partition => standIn(partition, among, can));
  const notA = chosen(({ address }) => address !== 'a');
  for (const one of notA) assert.deepEqual([one?.epoch, one?.standsIn], [0, true]);
  const names = notA.map(one => one?.address);
  for (const name of ['b', 'c', 'd']) {
    const share = names.filter(one => one === name).length;
    assert.ok(share > 60 && share < 140, `${name} stands in for ${share} of 300`);
  }
  assert.ok(!names.includes('a'));
  // Whatever the order in which a router has learnt of them.
  const reversed = chosen(({ address }) => address !== 'a', owners.toReversed());
  assert.deepEqual(
    reversed.map(one => one?.address),
    names,
  );
  // Who can't moves nobody but those for whom it stood in.
  const norB = chosen(({ address }) => address !== 'a' && address !== 'b').map(one => one?.address);
  for (const [index, name] of names.entries()) if (name !== 'b') assert.equal(norB[index], name);
  assert.equal(
    standIn(0, owners, () => false),
    undefined,
  );
});

test('while the owner is silent another one stands in, and it is the owner again when it is heard', async t => {
  const { table, gateway, close } = await openClaimedGateways(3, 0);
  t.after(close);
  const [one, two, three] = [
    await gateway('one', nowhere),
    await gateway('two', nowhere),
    await gateway('three', nowhere),
  ];
  const given: string[] = [];
  table.onDead(address => void given.push(address));
  await one.claim(0);
  await two.claim(1);
  await three.claim(2);
  await until('all is owned', () => partitions.slice(0, 3).every(partition => table.owner(partition) !== undefined));
  one.fallSilent();
  const standing = await until('somebody stands in', () => {
    const asked = table.owner(0);
    return asked?.standsIn ? asked : undefined;
  });
  assert.notEqual(standing.address, one.address);
  assert.deepEqual(given, [one.address]);
  assert.equal(table.owner(1)?.address, two.address);
  // Two are silent, and who stood in may be one of them: then the last one does.
  const next = standing.address === two.address ? two : three;
  const last = next === two ? three : two;
  next.fallSilent();
  await until('the last one stands in', () => table.owner(0)?.address === last.address);
  one.speak();
  const back = await until('the owner is asked again', () => {
    const asked = table.owner(0);
    return asked?.standsIn ? undefined : asked;
  });
  assert.deepEqual([back.address, back.epoch], [one.address, 1]);
});

test('nobody stands in as long as the silent owner may have a successor, which is asked as soon as it is there', async t => {
  const { table, gateway, close } = await openClaimedGateways(2, 60_000);
  t.after(close);
  const [one, two] = [await gateway('one', nowhere), await gateway('two', nowhere)];
  await one.claim(0);
  await two.claim(1);
  await until('both are owned', () => table.owner(0) !== undefined && table.owner(1) !== undefined);
  one.fallSilent();
  await until('nobody is asked', () => table.owner(0) === undefined);
  const waiting = table.waitForOwner(0, 30_000);
  await two.claim(0);
  assert.deepEqual([(await waiting)?.address, (await waiting)?.standsIn], [two.address, undefined]);
});

test('where no gateway is heard their clients keep them, and may go when another one is there', async t => {
  const { table, gateway, close } = await openClaimedGateways(2, 0);
  t.after(close);
  const one = await gateway('one', nowhere);
  const given: string[] = [];
  table.onDead(address => void given.push(address));
  await one.claim(0, 1);
  await until('all is owned', () => table.owner(0) !== undefined);
  one.fallSilent();
  // The end of the second attempt proves the silence at the latest, of the first where it had been heard; then comes a third.
  await until('it has been asked again and again', () => one.unanswered() >= 3);
  assert.deepEqual([table.owner(0)?.address, given], [one.address, []]);
  const two = await gateway('two', nowhere);
  await two.claim(1);
  await until('its clients may go', () => given.length > 0);
  assert.equal(table.owner(0)?.address, two.address);
});
