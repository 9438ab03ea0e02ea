// runs apart: a stack of its own, whose routers serve the pages and whose gateways are killed
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { account, transferMoney, verdictOf } from '../support/bank.ts';
import {
  networkErrors,
  type OpenPage,
  openBrowser,
  screenshot,
  type TestBrowser,
  withoutChromium,
} from '../support/browser/index.ts';
import { logIn } from '../support/log-in.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';

const skip = withoutChromium;
let stack: Stack;
let browser: TestBrowser;
const users: User[] = [];

before(async () => {
  if (skip) return;
  [stack, browser] = await Promise.all([startStack({ pages: true, gateways: 2 }), openBrowser()]);
});
after(async () => {
  for (const user of users) await user.close();
  await browser?.close();
  await stack?.stop();
});

/** Somebody with an account, who acts elsewhere than in the page. */
async function accountOf(name: string): Promise<{ user: User; iban: string }> {
  const user = await openUser(stack.url, name);
  users.push(user);
  return { user, iban: (await account(user)).iban };
}

async function payIn({ user, iban }: { user: User; iban: string }, amount: number, descr: string): Promise<void> {
  const verdict = verdictOf(await user.mutate(transferMoney, { token: '', amount, from: 'cash', to: iban, descr }));
  assert.equal(verdict.success, true, verdict.reason ?? '');
}

async function openLoggedIn(name: string, wishes: Parameters<TestBrowser['open']>[1] = {}): Promise<OpenPage> {
  await logIn(stack.url, name); // signs the name up: the page's own log-in may be the second one of many
  const opened = await browser.open(`${stack.url}/graphiql`, wishes);
  await fillLogIn(opened.page, name);
  await untilEditable(opened.page);
  return opened;
}

/** Before, a click on a button has no effect: GraphiQL ignores it. */
async function untilEditable(page: Page): Promise<void> {
  for (const editor of ['.graphiql-query-editor', '.result-window'])
    await page.locator(`${editor} .view-lines`).waitFor();
}

/** Monaco loads its three workers when it first needs each, and throws where it cannot: what loses the network waits for them. */
async function untilWorkersRun(page: Page): Promise<void> {
  await until("Monaco's workers", () => page.workers().length >= 3);
  for (const worker of page.workers()) {
    await worker.evaluate('0');
    assert.ok(worker.url().startsWith(`${stack.url}/assets/`), worker.url());
  }
}

async function fillLogIn(page: Page, name: string): Promise<void> {
  await page.getByLabel('Username').fill(name);
  await page.getByLabel('Password').fill(`${name}-password`);
  await page.getByRole('button', { name: 'Log in' }).click();
}

const openTab = (page: Page, title: string) => page.getByRole('tab', { name: title }).click();
const run = (page: Page) => page.getByRole('button', { name: /^Execute query/ }).click();
const stop = (page: Page) => page.getByRole('button', { name: /^Stop query/ }).click();

/** All of what the result's editor holds: of a long text, only the lines in sight are elements of the page. */
const resultText = (page: Page): Promise<string> =>
  page.evaluate(`__MONACO.editor.getModels().find(model => model.uri.path.endsWith('response.json')).getValue()`);

async function untilResult(page: Page, pattern: RegExp): Promise<string> {
  let text = '';
  await until(
    () => `a result like ${pattern}, and not ${text}`,
    async () => pattern.test((text = await resultText(page))),
  );
  return text;
}

/** What keeps people from using the page, but for one fault of GraphiQL's own: it puts a tab's buttons into the tab. */
async function violations(page: Page): Promise<string[]> {
  const elsewhere = await new AxeBuilder({ page }).exclude('.graphiql-tab').analyze();
  const inTabs = new AxeBuilder({ page }).include('.graphiql-tab').disableRules('nested-interactive');
  const hasTabs = (await page.locator('.graphiql-tab').count()) > 0;
  const found = [...elsewhere.violations, ...(hasTabs ? (await inTabs.analyze()).violations : [])];
  return found.flatMap(({ id, help, nodes }) =>
    nodes.map(
      ({ target, html, failureSummary }) => `${id} (${help}) at ${target.join(' ')}: ${html} ${failureSummary}`,
    ),
  );
}

test('a visitor logs in, and the example of the schema runs', { skip }, async () => {
  const alice = await accountOf('graphiql-alice');
  await payIn(alice, 1_234, 'a start');
  const opened = await browser.open(`${stack.url}/graphiql`);
  const { page } = opened;
  assert.equal(await page.locator('.graphiql-container').count(), 0, 'the editor is there before the log-in');
  await fillLogIn(page, alice.user.name);
  await untilEditable(page);
  await run(page);
  const result = JSON.parse(await untilResult(page, /"cursor"/));
  assert.equal(result.data.account.iban, alice.iban);
  assert.equal(result.data.transactions.edges[0].node.descr, 'a start');
  assert.equal(typeof result.extensions.cursor, 'string');
  assert.match((await page.locator('.bar').textContent()) ?? '', /graphiql-alice/);

  await page.reload();
  await page.locator('.graphiql-container').waitFor();
  await page.getByRole('button', { name: 'Log out' }).click();
  await page.getByLabel('Username').waitFor();
  assert.equal(await page.evaluate('sessionStorage.length'), 0, 'something of the user is left in the tab');
  opened.assertClean();
  await opened.close();
});

test('a subscription shows what happens elsewhere, and goes on by its cursor through a lost network and killed gateways', {
  skip,
}, async () => {
  const bob = await accountOf('graphiql-bob');
  const opened = await openLoggedIn(bob.user.name);
  const { page } = opened;
  const counts = page.getByTestId('counts');
  const connection = page.getByTestId('connection');
  await openTab(page, 'TransactionsLive');
  await run(page);
  await page.locator('.connection.live').waitFor();
  await payIn(bob, 1, 'while connected');
  const first = JSON.parse(await untilResult(page, /while connected/));
  assert.equal(typeof first.extensions.cursor, 'string');
  assert.equal('replayed' in first.extensions, false);

  await untilWorkersRun(page);
  await opened.context.setOffline(true);
  await until('offline', async () => (await connection.textContent()) === 'offline');
  await payIn(bob, 2, 'while offline');
  await payIn(bob, 3, 'still offline');
  await opened.context.setOffline(false);
  const replayed = JSON.parse(await untilResult(page, /still offline/));
  assert.equal(replayed.extensions.replayed, true);
  assert.equal(await counts.textContent(), '3 events, 2 replayed, 1 reconnect, 0 gaps');

  for (const name of ['gateway-0', 'gateway-1']) stack.kill(name);
  await payIn(bob, 4, 'after the gateways were killed');
  await untilResult(page, /after the gateways were killed/);
  await page.getByText('Events, newest first').click();
  const shown = await page.locator('.stream li').allTextContents();
  assert.deepEqual(
    shown.map(text => /"descr":"([^"]+)"/.exec(text)?.[1]),
    ['after the gateways were killed', 'still offline', 'while offline', 'while connected'],
  );
  await screenshot(page, 'graphiql-subscription');

  // The beginning can be chosen: here, everything that there is.
  await stop(page);
  await page.getByLabel('Start at').selectOption('earliest');
  await run(page);
  await until('all of them again', async () => /^4 events, 4 replayed/.test((await counts.textContent()) ?? ''));
  opened.assertClean(networkErrors);
  await opened.close();
});

test('a command runs with its placeholders, and an error is shown with its code', { skip }, async () => {
  const carol = await accountOf('graphiql-carol');
  const opened = await openLoggedIn(carol.user.name);
  const { page } = opened;
  await openTab(page, 'TransferMoney');
  await run(page);
  assert.match(await untilResult(page, /"reason"/), /"success": false/);
  await openTab(page, 'TransactionsLive');
  await page.locator('.graphiql-query-editor .view-lines').click();
  await page.keyboard.press('ControlOrMeta+A');
  await page.keyboard.insertText('subscription Everybody { ledger { id } }');
  await run(page);
  assert.match(await untilResult(page, /FORBIDDEN/), /"message"/);
  opened.assertClean();
  await opened.close();
});

/** What sticks out of the window, of the page's own parts: those scroll by themselves, the page does not. */
const stickingOut = (width: number, height: number) => `[...document.body.querySelectorAll('*')]
  .filter(element => element.closest('.graphiql-container, .stream ol, .visually-hidden') === null)
  .map(element => [element.getBoundingClientRect(), element.outerHTML.slice(0, 200)])
  .filter(([{ right, bottom }]) => right > ${width} || bottom > ${height})
  .map(([{ right, bottom }, html]) => right + ' ' + bottom + ' ' + html)`;

for (const [name, wishes] of Object.entries({
  light: {},
  dark: { colorScheme: 'dark' },
  'light on a phone': { phone: true },
  'dark on a phone': { colorScheme: 'dark', phone: true },
} as const)) {
  test(`everybody can use the page, ${name}`, { skip }, async () => {
    const opened = await browser.open(`${stack.url}/graphiql`, wishes);
    const { page } = opened;
    assert.deepEqual(await violations(page), []);
    await screenshot(page, `graphiql-log-in-${name.replaceAll(' ', '-')}`);
    await opened.close();

    const inside = await openLoggedIn('graphiql-dave', wishes);
    await run(inside.page);
    await untilResult(inside.page, /"cursor"/);
    await screenshot(inside.page, `graphiql-${name.replaceAll(' ', '-')}`);
    assert.deepEqual(await violations(inside.page), []);
    const { width, height } = inside.page.viewportSize() ?? { width: 0, height: 0 };
    assert.deepEqual(await inside.page.evaluate(stickingOut(width, height)), []);
    assert.deepEqual(
      await inside.page.evaluate(
        '[innerWidth, document.documentElement.scrollWidth, document.documentElement.scrollHeight]',
      ),
      [width, width, height],
    );
    for (const part of ['.graphiql-query-editor', '.result-window', '.stream']) {
      const box = await inside.page.locator(part).boundingBox();
      assert.ok(box !== null && box.width > width * 0.3 && box.height >= 36, `${part}: ${JSON.stringify(box)}`);
    }
    inside.assertClean();
    await inside.close();
  });
}

test('where the server refuses introspection, the page says so, and documents run', { skip }, async () => {
  await logIn(stack.url, 'graphiql-erin');
  const opened = await browser.open(`${stack.url}/graphiql`);
  const { page } = opened;
  const message = 'GraphQL introspection is not allowed';
  await page.route('**/graphql', async route => {
    if (!route.request().postData()?.includes('__schema')) return route.continue();
    const errors = [{ message, extensions: { code: 'FORBIDDEN' } }];
    return route.fulfill({ status: 400, contentType: 'application/graphql-response+json', json: { errors } });
  });
  await fillLogIn(page, 'graphiql-erin');
  await untilEditable(page);
  const notice = page.locator('.fault[role=alert]');
  assert.match((await notice.textContent()) ?? '', /refuses introspection .*is not allowed/);
  await page.locator('.graphiql-query-editor .view-lines').click();
  await page.keyboard.insertText('{ __typename }');
  await run(page);
  await untilResult(page, /"__typename": "Query"/);
  await page.unroute('**/graphql');
  await page.getByRole('button', { name: 'Try again' }).click();
  await notice.waitFor({ state: 'detached' });
  // What was written stays.
  await page.locator('.graphiql-query-editor').getByText('__typename').waitFor();
  opened.assertClean(networkErrors);
  await opened.close();
});
