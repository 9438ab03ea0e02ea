// runs apart: it kills the services of a stack of its own
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { backUp } from '../chaos/whole.ts';
import { openBank } from '../client/bank.ts';
import { type LineProxyOptions, openLineProxy } from '../client/line-proxy.ts';
import { networkErrors, openBrowser, type TestBrowser, withoutChromium } from '../support/browser/index.ts';
import { dumpTopic, testKafka } from '../support/dump.ts';
import { attachStack, type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { type ClientPage, openClientPage } from './page/client-page.ts';
import { openSite, type Site } from './page/site.ts';

const skip = withoutChromium;
let stack: Stack;
let browser: TestBrowser;
let site: Site;
const pages: ClientPage[] = [];
const opened: { close(): unknown }[] = [];

before(async () => {
  if (skip) return;
  const given = process.env.TEST_CLIENT_STACK;
  const starting = given
    ? Promise.resolve(attachStack(given))
    : startStack({
        gateways: 2,
        env: {
          PENSTOCK_OWNERSHIP_HANDOVER_WINDOW_MS: '3000',
          // A page is closed by the end of its token, and taken for dead, within a test.
          PENSTOCK_AUTH_TOKEN_TTL_SECONDS: '25',
          PENSTOCK_GATEWAY_PING_INTERVAL_MS: '1000',
        },
      });
  [stack, browser] = await Promise.all([starting, openBrowser()]);
  site = await openSite(join(import.meta.dirname, 'page/client.ts'), stack.url);
});

after(async () => {
  for (const one of [...opened, browser, site]) await one?.close();
  await stack?.stop();
});

/** A page of a user of its own, which reaches the router over this line. */
async function pageOver(options: LineProxyOptions): Promise<ClientPage> {
  const user = `user-${randomUUID()}`;
  const line = await openLineProxy(site.url, options);
  const other = await openBank(stack.url, user);
  opened.push(other, line);
  const page = await openClientPage(browser, line.url, other, user);
  pages.push(page);
  return page;
}

async function done(page: ClientPage): Promise<void> {
  page.assertClean(networkErrors);
  await page.close();
}

/** WebSockets that a process serves. */
async function connectionsAt(admin: string): Promise<number> {
  const text = await (await fetch(`${admin}/metrics`)).text();
  return Number(/^penstock_gateway_connections(?:\{[^}]*\})? (\d+)/m.exec(text)?.[1] ?? 0);
}

/** The gateway that serves the only page there is. */
async function gatewayOfPage(): Promise<string> {
  return until('a gateway has the page', async () => {
    for (const { service, name, admin } of stack.processes()) {
      if (service === 'gateway' && (await connectionsAt(admin)) > 0) return name;
    }
    return undefined;
  });
}

/** Has the page itself pay 1, 2, 3 … until it is told to stop; resolves with the last amount. */
function payOn(page: ClientPage) {
  let isOver = false;
  const paying = (async () => {
    for (let amount = 1; ; amount++) {
      assert.equal((await page.pay(amount, randomUUID())).success, true);
      if (isOver) return amount;
      await new Promise(resolve => setTimeout(resolve, 100));
    }
  })();
  paying.catch(() => {});
  return {
    stop: () => {
      isOver = true;
      return paying;
    },
  };
}

test('a page goes on through SIGTERM and kill -9 of its gateway, and the end of its token', { skip }, async () => {
  const page = await pageOver({});
  const paying = payOn(page);
  const name = await gatewayOfPage();
  await backUp(stack, name, stack.kill(name, 'SIGTERM'));
  const { moves } = await page.ask('counters');
  assert.ok(moves > 0, 'it has connected before it left');
  const killed = [await gatewayOfPage(), 'router-0'].map(victim => ({ victim, pid: stack.kill(victim) }));
  for (const { victim, pid } of killed) await backUp(stack, victim, pid);
  let seen = '';
  await until(
    () => `its token has expired: ${seen}`,
    async () => {
      const reasons = await page.ask('reasons');
      seen = JSON.stringify([reasons, await page.ask('state'), await page.ask('counters'), page.amounts().length]);
      return reasons.some(reason => /expired/.test(reason));
    },
    60_000,
  );
  await page.untilPaid(await paying.stop());
  assert.ok((await page.ask('counters')).reconnects > 0);
  await done(page);
});

describe('each over a line of its own', { concurrency: true, skip }, () => {
  test('a page that was offline says so, tries nothing meanwhile, and goes on', async () => {
    const page = await pageOver({});
    await page.other.pay(1);
    await page.untilPaid(1);
    await page.context.setOffline(true);
    await page.untilStatus('offline');
    const asked = await page.ask('tokensAsked');
    for (const amount of [2, 3]) await page.other.pay(amount);
    assert.deepEqual([page.amounts(), await page.ask('tokensAsked')], [[1], asked]);
    await page.context.setOffline(false);
    await page.untilStatus('live');
    await page.other.pay(4);
    await page.untilPaid(4);
    assert.deepEqual(
      page.events.map(({ replayed }) => replayed),
      [false, true, true, false],
    );
    await done(page);
  });

  test('a proxy that cuts every connection after 5 s costs no event, nor a payment', async () => {
    const page = await pageOver({ lifeMs: 5_000 });
    const paying = payOn(page);
    await until('three reconnects', async () => (await page.ask('counters')).reconnects >= 3, 60_000);
    await page.untilPaid(await paying.stop());
    await done(page);
  });

  test('where WebSockets are blocked, a page gets its events over SSE', async () => {
    const page = await pageOver({ blocksWebSockets: () => true });
    for (const amount of [1, 2]) await page.other.pay(amount);
    await page.untilPaid(2);
    await done(page);
  });
});

test('a page that stood still while its machine slept goes on where it was', { skip }, async () => {
  const before = await browser.pageProcesses();
  const page = await pageOver({});
  const mine = (await browser.pageProcesses()).filter(pid => !before.includes(pid));
  assert.ok(mine.length > 0);
  await page.other.pay(1);
  await page.untilPaid(1);
  const { admin } = stack.process(await gatewayOfPage());
  for (const pid of mine) process.kill(pid, 'SIGSTOP');
  for (const amount of [2, 3]) await page.other.pay(amount);
  await until('its gateway has given it up', async () => (await connectionsAt(admin)) === 0, 60_000);
  assert.deepEqual(page.amounts(), [1]);
  for (const pid of mine) process.kill(pid, 'SIGCONT');
  await page.other.pay(4);
  await page.untilPaid(4);
  await done(page);
});

test('a page that is reloaded in the middle of a command pays once, and goes on behind its last event', {
  skip,
}, async () => {
  const page = await pageOver({});
  await page.other.pay(1);
  await page.untilPaid(1);
  await stack.down('command-handler-0');
  page.pay(2).catch(() => {}); // the page does not see the verdict
  await until('the id is kept', () => page.page.evaluate('localStorage.length === 2'));
  const stored = await page.page.evaluate('JSON.stringify(localStorage)');
  assert.ok(!String(stored).includes(page.user), 'storage names no user');
  await page.page.reload();
  const again = page.pay(2);
  await stack.up('command-handler-0');
  assert.equal((await again).success, true);
  await page.untilPaid(2);
  await until('the id is forgotten', () => page.page.evaluate('localStorage.length === 1'));
  await done(page);
});

test('what the pages have got is what the log holds', { skip }, async () => {
  assert.equal(pages.length, 6);
  const records = await dumpTopic(testKafka(stack.kafka, stack.kafkaCaFile), 'balance_changed');
  for (const { user, events } of pages) {
    // A handler that comes back may write an event again, under the same number.
    const written = new Map(
      records.filter(({ key }) => key === user).map(({ headers, value }) => [headers.ce_keysequence, value]),
    );
    assert.deepEqual(
      events.map(({ data }) => data.transactions),
      [...written.values()].map(value => ({ changedBy: value?.changedBy, newBalance: value?.newBalance })),
    );
  }
});
