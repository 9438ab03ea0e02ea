import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { gaugeReadiness, openReadiness, serveAdmin } from '../../../lib/ops/admin.ts';
import { drain } from '../../../lib/ops/life-cycle.ts';
import { openLog } from '../../../lib/ops/log.ts';
import { traceparentOf } from '../../../lib/ops/trace.ts';

const silent = openLog('test', 'fatal');

test('readyz answers 503 with each reason until all are cleared, livez answers 200 all the while', async () => {
  const readiness = openReadiness();
  const admin = await serveAdmin({ host: '127.0.0.1', port: 0 }, readiness, new Registry());
  try {
    readiness.set('kafka', 'no broker answers');
    readiness.set('redis', 'connection refused');
    const notReady = await fetch(`${admin.url}/readyz`);
    assert.equal(notReady.status, 503);
    assert.deepEqual(await notReady.json(), {
      status: 'not ready',
      reasons: { kafka: 'no broker answers', redis: 'connection refused' },
    });
    assert.equal((await fetch(`${admin.url}/livez`)).status, 200);
    readiness.set('kafka', undefined);
    assert.equal((await fetch(`${admin.url}/readyz`)).status, 503);
    assert.equal((await fetch(`${admin.url}/readyz?exclude=kafka`)).status, 503);
    assert.equal((await fetch(`${admin.url}/readyz?exclude=kafka&exclude=redis`)).status, 200);
    readiness.set('redis', undefined);
    assert.equal((await fetch(`${admin.url}/readyz`)).status, 200);
    assert.equal((await fetch(`${admin.url}/elsewhere`)).status, 404);
  } finally {
    await admin.close();
  }
});

test('readyz stays at 200 with a warning, and has it beside the reasons of one that is not ready', async () => {
  const readiness = openReadiness();
  const admin = await serveAdmin({ host: '127.0.0.1', port: 0 }, readiness, new Registry());
  const ask = async () => {
    const answer = await fetch(`${admin.url}/readyz`);
    return [answer.status, await answer.json()];
  };
  try {
    readiness.warn('quota', 'slow');
    assert.deepEqual(await ask(), [200, { status: 'ready', warnings: { quota: 'slow' } }]);
    readiness.set('redis', 'away');
    const reasons = { redis: 'away' };
    assert.deepEqual(await ask(), [503, { status: 'not ready', reasons, warnings: { quota: 'slow' } }]);
    readiness.warn('quota', undefined);
    assert.deepEqual(await ask(), [503, { status: 'not ready', reasons }]);
  } finally {
    await admin.close();
  }
});

test('what keeps a process from being ready is a metric, which stays as 0 when it is over', async () => {
  const registry = new Registry();
  const readiness = openReadiness();
  readiness.set('start', 'starting');
  gaugeReadiness(registry, readiness);
  readiness.set('start', undefined);
  const values = async () =>
    (await registry.getMetricsAsJSON())[0]?.values.map(({ labels, value }) => [labels.reason, value]);
  assert.deepEqual(await values(), [['start', 0]]);
  readiness.set('kafka', 'away');
  assert.deepEqual(await values(), [
    ['start', 0],
    ['kafka', 1],
  ]);
  readiness.set('kafka', undefined);
  assert.deepEqual(await values(), [
    ['start', 0],
    ['kafka', 0],
  ]);
});

test('a drain closes every part in order although one of them throws', async () => {
  const closed: string[] = [];
  const part = (name: string, fails = false) => ({
    async close() {
      closed.push(name);
      if (fails) throw new Error(name);
    },
  });
  assert.equal(await drain([part('a'), part('b', true), part('c')], 5_000, silent), true);
  assert.deepEqual(closed, ['a', 'b', 'c']);
});

test('a drain that hangs gives up at its time-out and says so', async () => {
  const hangs = { close: () => new Promise<void>(() => undefined) };
  assert.equal(await drain([hangs], 20, silent), false);
});

test('a well-formed traceparent keeps its trace under a new parent, anything else starts a new trace', () => {
  const incoming = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
  const handedOn = traceparentOf(incoming);
  assert.equal(handedOn.slice(0, 36), incoming.slice(0, 36));
  assert.notEqual(handedOn.slice(36, 52), incoming.slice(36, 52));
  assert.equal(handedOn.slice(52), '-01');
  for (const bad of [undefined, '', 'x', `00-${'0'.repeat(32)}-b7ad6b7169203331-01`, `${incoming}-more`, 7]) {
    assert.match(traceparentOf(bad), /^00-[0-9a-f]{32}-[0-9a-f]{16}-01$/);
  }
});
