// runs apart: it kills gateways of a stack of its own
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, afterEach, before, test } from 'node:test';
import type { Locator, Page } from 'playwright-core';
import { account, transferMoney, verdictOf } from '../support/bank.ts';
import type { PageWishes } from '../support/browser/browser.ts';
import {
  accessibilityViolations,
  networkErrors,
  type OpenPage,
  openBrowser,
  screenshot,
  type TestBrowser,
  withoutChromium,
} from '../support/browser/index.ts';
import { attachStack, type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser } from '../support/user.ts';
import { type BankPage, bankPage } from './bank-page.ts';

const skip = withoutChromium;
let browser: TestBrowser;
let stack: Stack;
const open: OpenPage[] = [];

before(async () => {
  if (skip) return;
  const given = process.env.TEST_BROWSER_STACK;
  [browser, stack] = await Promise.all([
    openBrowser(),
    given ? attachStack(given) : startStack({ gateways: 2, partitions: 6, pages: true }),
  ]);
});
afterEach(async context => {
  for (const [index, opened] of open.splice(0).entries()) {
    // For whoever has to find out why.
    if ('passed' in context && !context.passed) await screenshot(opened.page, `bank-failed-${index}`);
    await opened.close();
  }
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

async function visit(wishes: PageWishes = {}): Promise<BankPage & { opened: OpenPage }> {
  const opened = await browser.open(stack.url, wishes);
  open.push(opened);
  return { ...bankPage(opened.page), opened };
}

/** Somebody with an account and some money. */
async function customer(name: string, amount = '100.00', wishes: PageWishes = {}) {
  const bank = await visit(wishes);
  const username = `${name}-${randomUUID().slice(0, 8)}`;
  await bank.logIn(username);
  const iban = await bank.openAccount();
  await bank.payIn(amount);
  await textIs(bank.balance, `€ ${amount}`);
  return { ...bank, username, iban };
}

async function textIs(locator: Locator, wanted: string | RegExp, timeoutMs?: number): Promise<void> {
  let text: string | null = null;
  await until(
    () => `"${wanted}" to be shown, and not "${text}"`,
    async () => {
      text = await locator.textContent({ timeout: 1_000 }).catch(() => null);
      return typeof wanted === 'string' ? text === wanted : wanted.test(text ?? '');
    },
    timeoutMs,
    50,
  );
}

async function rowCount(rows: Locator, count: number): Promise<void> {
  await until(`${count} rows`, async () => (await rows.count()) === count, 30_000, 50);
}

const isWide = 'document.scrollingElement.scrollWidth > document.scrollingElement.clientWidth';

test('two people pay each other, and each sees it at once', { skip }, async () => {
  const alice = await customer('alice');
  const bob = await customer('bob');
  assert.match(alice.iban, /^NL\d\dPENS\d{10}$/);
  await alice.transfer(bob.iban, '12.34', 'coffee');
  await textIs(alice.status, /succeeded/);
  for (const [who, balance, first] of [
    [alice, '€ 87.66', /coffee.*-€ 12\.34.*€ 87\.66/],
    [bob, '€ 112.34', /coffee.*\+€ 12\.34.*€ 112\.34/],
  ] as const) {
    await textIs(who.balance, balance);
    await textIs(who.rows.first(), first);
    await rowCount(who.rows, 2);
  }
  await bob.transfer(`${bob.iban}`, '1', 'to himself');
  await textIs(bob.status, /from and to can't be same/);
  await bob.transfer(alice.iban, '1000000', 'too much');
  await textIs(bob.status, /insufficient funds/);
  await bob.transfer(alice.iban, '0', 'nothing');
  await textIs(bob.status, /invalid amount/);
  await bob.transfer(alice.iban, '0,66', 'back');
  await textIs(alice.balance, '€ 88.32');
  await textIs(bob.balance, '€ 111.68');
  for (const { opened } of [alice, bob]) opened.assertClean();
});

test('a page whose gateway is killed while money comes in shows all of it, and says that nothing was lost', {
  skip,
}, async () => {
  const alice = await customer('alice');
  const owner = await gatewayWithConnections(1);
  const bob = await customer('bob');
  const payments = [1, 2, 3, 4, 5, 6, 7, 8];
  for (const n of payments) {
    await bob.transfer(alice.iban, `${n}.00`, `payment ${n}`);
    if (n === 3) stack.kill(owner); // while that payment is under way
    await textIs(bob.status, new RegExp(`€ ${n}\\.00 .*succeeded`), 60_000);
  }
  await textIs(alice.balance, '€ 136.00', 60_000);
  await rowCount(alice.rows, payments.length + 1);
  const shown = await alice.rows.allTextContents();
  assert.deepEqual(
    shown.map(text => /payment \d|Paid in/.exec(text)?.[0]),
    [...payments.map(n => `payment ${n}`).reverse(), 'Paid in'],
  );
  await textIs(alice.connection, 'live');
  await textIs(alice.page.locator('.connection-note'), /Disconnected at [\d:]+ for .* nothing was lost/);
  await screenshot(alice.page, 'bank-after-a-gateway-was-killed');
  alice.opened.assertClean(networkErrors);
  bob.opened.assertClean(networkErrors);
  await until('both gateways', () => stack.processes().filter(({ service }) => service === 'gateway').length === 2);
});

/** The name of the only gateway that has so many connections. */
async function gatewayWithConnections(count: number): Promise<string> {
  return until(`a gateway with ${count} connection`, async () => {
    for (const { name, service, admin } of stack.processes()) {
      if (service !== 'gateway') continue;
      const text = await fetch(`${admin}/metrics`).then(response => response.text());
      if (new RegExp(`^penstock_gateway_connections ${count}$`, 'm').test(text)) return name;
    }
    return undefined;
  });
}

test('without a network the page tells so, and catches up when it is back', { skip }, async () => {
  const alice = await customer('alice');
  const bob = await customer('bob');
  await alice.opened.context.setOffline(true);
  await textIs(alice.connection, 'offline');
  await textIs(alice.page.locator('.connection-note'), /Disconnected since [\d:]+\. .*Nothing is lost/);
  await screenshot(alice.page, 'bank-offline');
  await bob.transfer(alice.iban, '5.00', 'meanwhile');
  await textIs(bob.status, /succeeded/);
  await alice.opened.context.setOffline(false);
  await textIs(alice.balance, '€ 105.00');
  await textIs(alice.page.locator('.connection-note'), /Caught up on 1 event; nothing was lost/);
  alice.opened.assertClean(networkErrors);
});

test('whoever reloads the page in the middle of a payment pays once, and sees the verdict', { skip }, async () => {
  const alice = await customer('alice');
  const bob = await customer('bob');
  const { page } = alice;
  let sent = 0;
  let carriedOut = false;
  await page.route('**/graphql', async route => {
    if (sent > 0 || !route.request().postData()?.includes('transferMoney')) return route.fallback();
    sent++;
    await route.fetch(); // the bank carries it out, and the page never hears of it
    carriedOut = true;
  });
  await alice.transfer(bob.iban, '10.00', 'once');
  await until('the payment is carried out', () => carriedOut);
  await textIs(alice.status, /under way/);
  await page.reload();
  await textIs(alice.status, /Transfer of € 10\.00 .* succeeded/);
  await textIs(alice.balance, '€ 90.00');
  await textIs(bob.balance, '€ 110.00');
  await rowCount(bob.rows, 2);
  assert.equal(await alice.rows.count(), 2);
});

test('filters narrow the list, what comes in included', { skip }, async () => {
  const alice = await customer('alice');
  const bob = await customer('bob');
  await alice.transfer(bob.iban, '30.00', 'the rent');
  await textIs(alice.status, /succeeded/);
  await rowCount(alice.rows, 2);
  const [direction, minimum, description] = ['Direction', 'Minimum', 'Description contains'].map(label =>
    alice.page.getByLabel(label),
  );
  await direction?.selectOption('CREDIT');
  await rowCount(alice.rows, 1);
  await bob.transfer(alice.iban, '1.00', 'small');
  await rowCount(alice.rows, 2);
  await minimum?.fill('50');
  await rowCount(alice.rows, 1);
  await bob.transfer(alice.iban, '2.00', 'small too');
  await textIs(alice.balance, '€ 73.00');
  assert.equal(await alice.rows.count(), 1);
  await minimum?.fill('nothing');
  await textIs(alice.page.locator('#filter-minimum-fault'), /such as 12\.34/);
  await minimum?.fill('');
  await description?.fill('too');
  await textIs(alice.rows.first(), /small too/);
  await description?.fill('nowhere');
  await rowCount(alice.rows, 0);
  await description?.fill('');
  await direction?.selectOption('');
  await rowCount(alice.rows, 4);
  alice.opened.assertClean();
});

test('older transactions come when they are asked for', { skip }, async () => {
  const name = `alice-${randomUUID().slice(0, 8)}`;
  const user = await openUser(stack.url, name);
  const { token, iban } = await account(user);
  const count = 60;
  const payments = Array.from({ length: count }, (_, index) =>
    user.post(transferMoney, { token, amount: index + 1, from: 'cash', to: iban, descr: `payment ${index + 1}` }),
  );
  for (const answer of await Promise.all(payments)) assert.equal(verdictOf(answer).success, true);
  await user.close();
  const bank = await visit();
  await bank.logIn(name);
  await textIs(bank.balance, '€ 18.30');
  await rowCount(bank.rows, 50);
  const more = bank.page.getByRole('button', { name: 'Load more' });
  await more.click();
  await rowCount(bank.rows, count);
  await more.waitFor({ state: 'detached' });
  const shown = (await bank.rows.allTextContents()).map(row => /payment \d+/.exec(row)?.[0]);
  assert.equal(new Set(shown).size, count);
  bank.opened.assertClean();
});

test('what cannot be read as an amount is told beside its field, which gets the focus', { skip }, async () => {
  const alice = await customer('alice');
  await alice.transfer('NL00PENS0000000000', 'much', 'x');
  const amount = alice.page.locator('#transfer-amount');
  assert.equal(await amount.getAttribute('aria-invalid'), 'true');
  assert.equal(await alice.page.evaluate('document.activeElement.id'), 'transfer-amount');
  await textIs(alice.page.locator('#transfer-amount-fault'), /such as 12\.34/);
  await alice.transfer('', '1', 'x');
  await textIs(alice.page.locator('#transfer-recipient-fault'), /IBAN/);
});

test('a wrong password is told, and the log-out leaves nothing of the session', { skip }, async () => {
  const alice = await customer('alice');
  await alice.page.reload();
  await textIs(alice.balance, '€ 100.00');
  await alice.page.getByRole('button', { name: 'Log out' }).click();
  await alice.page.getByLabel('Username').fill(alice.username);
  await alice.page.getByLabel('Password').fill('wrong');
  await alice.page.getByRole('button', { name: 'Log in' }).click();
  await textIs(alice.page.getByRole('alert'), /password is wrong/);
  assert.equal(await alice.page.evaluate('sessionStorage.length'), 0);
  await alice.logIn(alice.username);
  await textIs(alice.balance, '€ 100.00');
});

test('when the session has ended the page says so, and a log-in goes on where it was', { skip }, async () => {
  const alice = await customer('alice');
  const { page, opened, username } = alice;
  // A clock that can be put forward; it holds from the next load on.
  await page.addInitScript('lateMs = 0; Date.now = (now => () => now() + lateMs)(Date.now);');
  await page.reload();
  await textIs(alice.balance, '€ 100.00');
  await page.evaluate('lateMs = 7 * 86_400_000');
  await opened.context.setOffline(true);
  await textIs(alice.connection, 'offline');
  await opened.context.setOffline(false);
  await page.getByText('Your session has ended.').waitFor();
  await page.evaluate('lateMs = 0');
  await alice.logIn(username);
  await textIs(alice.balance, '€ 100.00');
  opened.assertClean(networkErrors);
});

test('everything is done by keyboard alone', { skip }, async () => {
  const { page, balance } = await visit();
  const press = async (...keys: string[]): Promise<void> => {
    for (const key of keys) await page.keyboard.press(key);
  };
  await press('Tab');
  await page.keyboard.type(`keys-${randomUUID().slice(0, 8)}`);
  await press('Tab');
  await page.keyboard.type('password');
  await press('Enter');
  await page.getByRole('button', { name: 'Open account' }).waitFor();
  await tabTo(page, 'document.activeElement.textContent === "Open account"');
  await press('Enter');
  await page.locator('#pay-in-amount').waitFor();
  await tabTo(page, 'document.activeElement.id === "pay-in-amount"');
  await page.keyboard.type('7.50');
  await press('Enter');
  await textIs(balance, '€ 7.50');
});

/** @param isThere an expression of the page. */
async function tabTo(page: Page, isThere: string): Promise<void> {
  for (let tabs = 0; tabs < 20; tabs++) {
    if (await page.evaluate(isThere)) return;
    await page.keyboard.press('Tab');
  }
  assert.fail(`no way by the tab key to where ${isThere}`);
}

for (const colorScheme of ['light', 'dark'] as const) {
  for (const widthPixels of [1_280, 320]) {
    test(`axe finds nothing, and nothing is cut off: ${colorScheme}, ${widthPixels} pixels wide`, {
      skip,
    }, async () => {
      const wishes = { colorScheme, phone: widthPixels < 500 };
      const bank = await visit(wishes);
      const look = async (what: string): Promise<void> => {
        await screenshot(bank.page, `bank-${what}-${colorScheme}-${widthPixels}`);
        assert.deepEqual(await accessibilityViolations(bank.page), [], what);
        assert.equal(await bank.page.evaluate(isWide), false, `${what} is wider than the screen`);
      };
      await bank.page.setViewportSize({ width: widthPixels, height: 800 });
      await look('log-in');
      await bank.logIn(`ann-${randomUUID().slice(0, 8)}`);
      await bank.page.getByRole('button', { name: 'Open account' }).waitFor();
      await look('no-account');
      const iban = await bank.openAccount();
      await bank.page.getByText('Nothing has happened yet.').waitFor();
      await look('empty');
      await bank.payIn('1234567.89');
      await textIs(bank.balance, '€ 1,234,567.89');
      const bob = await customer('bob');
      await bank.transfer(bob.iban, '49.95', 'Dinner for two, with a description that is longer than most of them are');
      await bob.transfer(iban, '20.00', 'Taxi');
      await rowCount(bank.rows, 3);
      await bank.transfer('nowhere', 'x', '');
      await look('busy');
      bank.opened.assertClean();
    });
  }
}
