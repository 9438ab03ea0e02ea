// starts first: a broker of its own comes and goes
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { startScratchBrokers } from '../../support/scratch-brokers.ts';
import { openTcpProxy, type TcpProxy } from '../../support/tcp-proxy.ts';
import { until } from '../../support/until.ts';
import { type HandlerProcess, openStage, type Stage } from './stage.ts';

let stage: Stage;
let proxy: TcpProxy;
before(async () => {
  stage = await openStage();
  const { hostname: host, port } = new URL(stage.postgres.url);
  proxy = await openTcpProxy({ host, port: Number(port) });
});
after(async () => {
  await stage.close();
  await proxy.close();
});

async function reasonOf(handler: HandlerProcess, part: string): Promise<string> {
  await until('the admin port', () => handler.admin !== '');
  return until(`a reason of ${part}`, async () => (await handler.reasons())[part], 30_000);
}

test('PostgreSQL absent at start and going away later: not ready with the reason, and on it goes without a restart', async () => {
  const url = new URL(stage.postgres.url);
  url.port = String(proxy.port);
  const handler = await stage.start({ PENSTOCK_POSTGRES_URL: url.href });
  assert.match(await reasonOf(handler, 'postgres'), /not connected yet/);
  const first = await stage.command('alice', 'openAccount', {});
  await proxy.mend();
  await handler.ready();
  const { iban } = await stage.verdict('alice', first);

  await proxy.cut();
  assert.match(await reasonOf(handler, 'postgres'), /ECONN|closed|terminated/);
  const pay = { token: '', amount: 5, from: 'cash', to: iban, descr: '' };
  const paid = await stage.command('alice', 'transferMoney', pay);
  await proxy.mend();
  await handler.ready();
  assert.equal((await stage.verdict('alice', paid)).success, true);

  await proxy.cut();
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0, 'it also stops without PostgreSQL');
  await proxy.mend();
});

test('Kafka absent at start and going away later: not ready with the reason, and on it goes without a restart', async () => {
  const brokers = await startScratchBrokers(1);
  const own = await openStage({ partitions: 2, brokers: brokers.addresses });
  try {
    await brokers.kill(1);
    const handler = await own.start();
    assert.ok(await reasonOf(handler, 'kafka'));
    brokers.start(1);
    await handler.ready();
    const { iban } = await own.verdict('alice', await own.command('alice', 'openAccount', {}));

    await brokers.kill(1);
    assert.ok(await reasonOf(handler, 'kafka'));
    brokers.start(1);
    await handler.ready();
    const pay = { token: '', amount: 5, from: 'cash', to: iban, descr: '' };
    assert.equal((await own.verdict('alice', await own.command('alice', 'transferMoney', pay))).success, true);

    await brokers.kill(1);
    handler.signal('SIGTERM');
    assert.equal(await handler.exited, 0, 'it also stops without Kafka');
    brokers.start(1);
  } finally {
    await own.close();
    await brokers.close();
  }
});
