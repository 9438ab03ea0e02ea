// runs apart: it kills a gateway of a stack of its own
import assert from 'node:assert/strict';
import { statSync } from 'node:fs';
import { after, before, test } from 'node:test';
import { backUp } from '../chaos/whole.ts';
import { counter, openConsole, untilAllOwned } from '../support/browser/console.ts';
import {
  accessibilityViolations,
  networkErrors,
  openBrowser,
  screenshot,
  type TestBrowser,
  withoutChromium,
} from '../support/browser/index.ts';
import { attachStack, type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const skip = withoutChromium;
let stack: Stack;
let browser: TestBrowser;

before(async () => {
  if (skip) return;
  const given = process.env.TEST_CONSOLE_STACK;
  stack = given ? attachStack(given) : await startStack({ gateways: 2, pages: true });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

test('Kill a gateway: events go on to be delivered, none is lost, none comes twice', { skip }, async () => {
  const opened = await openConsole({ browser, stack });
  const { page } = opened;
  await until('events are delivered', async () => (await counter(page, 'delivered')) > 20, 60_000, 100);
  const pids = new Map(stack.processes().map(({ name, pid }) => [name, pid]));
  const before = await counter(page, 'delivered');
  await page.getByRole('button', { name: 'Kill a gateway' }).click();
  const said = await until('the page says which one', async () =>
    /(gateway-\d+) was killed/.exec((await page.locator('.proof-status').textContent()) ?? ''),
  );
  const name = said[1] ?? '';
  await backUp(stack, name, pids.get(name) ?? 0);
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  await until('many more are delivered', async () => (await counter(page, 'delivered')) > before + 60, 60_000, 100);
  assert.match((await page.locator('.proof-status').textContent()) ?? '', /\d+ partitions had a new owner within/);
  assert.equal(await counter(page, 'lost'), 0);
  assert.equal(await counter(page, 'twice'), 0);
  await screenshot(page, 'console-after-a-kill');
  opened.assertClean(networkErrors);
  await opened.close();
});

test('an event that is dropped on its way to the page counts as lost, one that is repeated as twice', {
  skip,
}, async () => {
  const state: { drop: boolean; repeat: boolean; dropped: number; repeated: number } = {
    ...{ drop: false, repeat: false },
    ...{ dropped: 0, repeated: 0 },
  };
  const opened = await openConsole({ browser, stack }, {}, async page => {
    await page.routeWebSocket(/\/graphql\?route=/, route => {
      const server = route.connectToServer();
      server.onMessage(message => {
        const isEvent = /"type":"next".*"transactions":\{"id"/.test(String(message));
        if (isEvent && state.drop) {
          state.drop = false;
          state.dropped++;
          return;
        }
        route.send(message);
        if (!isEvent || !state.repeat) return;
        state.repeat = false;
        state.repeated++;
        route.send(message);
      });
    });
  });
  const { page } = opened;
  await until('events are delivered', async () => (await counter(page, 'delivered')) > 10, 60_000, 100);
  assert.deepEqual([await counter(page, 'lost'), await counter(page, 'twice')], [0, 0]);
  state.drop = true;
  await until('one is lost', async () => (await counter(page, 'lost')) === 1, 60_000, 100);
  state.repeat = true;
  await until('one came twice', async () => (await counter(page, 'twice')) === 1, 60_000, 100);
  const delivered = await counter(page, 'delivered');
  await until('others go on', async () => (await counter(page, 'delivered')) > delivered + 20, 60_000, 100);
  assert.deepEqual([await counter(page, 'lost'), await counter(page, 'twice')], [1, 1]);
  assert.deepEqual([state.dropped, state.repeated], [1, 1]);
  await opened.close();
});

test('a user is looked up: partition, owner and sessions', { skip }, async () => {
  const opened = await openConsole({ browser, stack });
  const { page } = opened;
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  await page.getByLabel('User', { exact: true }).fill('operator');
  await page.getByRole('button', { name: 'Find' }).click();
  const answer = page.locator('.facts');
  await answer.waitFor();
  assert.match(
    (await answer.textContent()) ?? '',
    /Partition\d+Owner\s*gateway-\dSessions\d+ at gateway-\d, which owns/,
  );
  opened.assertClean();
  await opened.close();
});

test('who is no operator is told so, and sees nothing', { skip }, async () => {
  const opened = await browser.open(`${stack.url}/console`);
  const { page } = opened;
  await page.getByLabel('Username').fill('somebody');
  await page.getByLabel('Password').fill('somebody-password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByText('does not have the role operator').waitFor();
  assert.equal(await page.getByRole('table').count(), 0);
  assert.deepEqual(await accessibilityViolations(page), []);
  opened.assertClean();
  await opened.close();
});

for (const [name, wishes] of Object.entries({
  light: {},
  dark: { colorScheme: 'dark' },
  'light on a phone': { phone: true },
  'dark on a phone': { colorScheme: 'dark', phone: true },
} as const)) {
  test(`the console is accessible and keeps its policy, ${name}`, { skip }, async () => {
    const opened = await openConsole({ browser, stack }, wishes);
    const { page } = opened;
    await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
    await until('events are delivered', async () => (await counter(page, 'delivered')) > 10, 60_000, 100);
    await page.getByText('As a table').first().click();
    assert.deepEqual(await accessibilityViolations(page), []);
    const width = await page.evaluate('document.documentElement.scrollWidth - document.documentElement.clientWidth');
    assert.equal(width, 0, 'nothing is wider than the page');
    assert.ok(statSync(await screenshot(page, `console-${name.replaceAll(' ', '-')}`)).size > 10_000);
    opened.assertClean();
    await opened.close();
  });
}

test('everything is within reach of the keyboard', { skip }, async () => {
  const opened = await openConsole({ browser, stack });
  const { page } = opened;
  await page.getByRole('button', { name: 'Kill a gateway' }).waitFor();
  const reached = new Set<string>();
  for (let step = 0; step < 40; step++) {
    await page.keyboard.press('Tab');
    reached.add(
      String(
        await page.evaluate(
          '(document.activeElement.getAttribute("aria-label") || document.activeElement.textContent || document.activeElement.id).trim().slice(0, 40)',
        ),
      ),
    );
  }
  for (const name of ['Log out', 'Kill a gateway', 'Pause payments', 'Find', 'Scrolls']) {
    assert.ok(reached.has(name), `${name} among ${[...reached].join(', ')}`);
  }
  await opened.close();
});

test('the console has at most 100 KB of JavaScript, compressed', { skip }, async () => {
  const opened = await browser.open(`${stack.url}/console`);
  const { page } = opened;
  const sizes = await page.evaluate<number[]>(
    'performance.getEntriesByType("resource").filter(one => one.name.endsWith(".js")).map(one => one.encodedBodySize)',
  );
  assert.ok(sizes.length > 0);
  const bytes = sizes.reduce((sum, size) => sum + size, 0);
  assert.ok(bytes <= 100 * 1_024, `${bytes} bytes`);
  await opened.close();
});
