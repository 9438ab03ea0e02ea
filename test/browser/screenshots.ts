/**
 * `npm run screenshots [-- --url http://127.0.0.1:8080] [--out docs/images]`: the pictures of README and docs, light and dark. Without
 * an address it starts a stack of its own; at a running one, alice and bob have to be unknown, or to have been made by this script.
 */
import { mkdir, stat, writeFile } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { main } from '../../dev/stack/main.ts';
import { root } from '../../dev/stack/options.ts';
import { Trouble } from '../../dev/stack/trouble.ts';
import { account, transactions, transferMoney, verdictOf } from '../support/bank.ts';
import { openBrowser, type TestBrowser, withoutChromium } from '../support/browser/index.ts';
import { startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';
import { bankPage } from './bank-page.ts';

const schemes = ['light', 'dark'] as const;
/** README shows wide pictures at half their size. That of a phone has so many pixels for one of the page, to be as sharp. */
const phoneScale = 1.5;
/** The bank's list of transactions is beside its forms from 896 px on. */
const bankSize = { width: 900, height: 720 };
/** What is between two pages: their own canvas. A transparent picture is larger. */
const canvas = { light: '#f5f6f4', dark: '#0d1413' } as const;
/** Of a picture; more makes README slow. */
const mostBytes = 200_000;
/** Simulated users that are connected while the console is looked at. */
const sessions = 24;

/** What alice and bob have done before the last payment, which is made in her page: whole cents. */
const payments = [
  { by: 'alice', from: 'cash', to: 'alice', amount: 240_000, descr: 'Salary' },
  { by: 'bob', from: 'cash', to: 'bob', amount: 185_050, descr: 'Savings from my old bank' },
  { by: 'bob', from: 'bob', to: 'alice', amount: 65_000, descr: 'Half of the rent' },
  { by: 'alice', from: 'alice', to: 'bob', amount: 1_850, descr: 'Pizza on Friday' },
  { by: 'bob', from: 'bob', to: 'alice', amount: 4_200, descr: 'Concert tickets' },
  { by: 'alice', from: 'alice', to: 'bob', amount: 620, descr: 'Coffee and cake' },
] as const;
const lastPayment = { euros: '12.75', descr: 'Flowers for grandma' };

const print = (line: string) => void process.stdout.write(`${line}\n`);

interface Studio {
  browser: TestBrowser;
  url: string;
  /** Writes a picture and says so. */
  save(name: string, png: Buffer): Promise<void>;
}

await main(async signal => {
  const { values } = parseArgs({
    options: { url: { type: 'string' }, out: { type: 'string', default: 'docs/images' } },
  });
  if (withoutChromium) throw new Trouble(`the screenshots need ${withoutChromium}`);
  const folder = resolve(root, values.out);
  await mkdir(folder, { recursive: true });
  const stack = values.url === undefined ? await startStack({ pages: true, gateways: 2 }) : undefined;
  signal.addEventListener('abort', () => void stack?.stop(), { once: true });
  const browser = await openBrowser();
  try {
    const url = values.url ?? stack?.url ?? '';
    const studio = { browser, url, save: (name: string, png: Buffer) => save(join(folder, `${name}.png`), png) };
    const people = await pay(url);
    await takeBanks(studio, people);
    await takeGraphiql(studio, people);
    await takeConsole(studio);
    for (const { user } of Object.values(people)) await user.close();
  } finally {
    await browser.close();
    await stack?.stop();
  }
});

async function save(file: string, png: Buffer): Promise<void> {
  await writeFile(file, png);
  const { size } = await stat(file);
  print(`${relative(root, file)} ${Math.ceil(size / 1_000)} kB${size > mostBytes ? ': too large for README' : ''}`);
}

interface Person {
  user: User;
  iban: string;
  token: string;
}

type People = Record<'alice' | 'bob', Person>;

/** Opens both accounts, and makes the payments where they have not been made yet. */
async function pay(url: string): Promise<People> {
  const person = async (name: string): Promise<Person> => {
    const user = await openUser(url, name);
    return { user, ...(await account(user)) };
  };
  const people: People = { alice: await person('alice'), bob: await person('bob') };
  const before = await people.alice.user.post('{ transactions(first: 1) { edges { cursor } } }');
  const { edges } = before.data.transactions as { edges: unknown[] };
  if (edges.length > 0) return people;
  for (const { by, from, to, amount, descr } of payments) {
    const { user, token } = people[by];
    const variables = { token, amount, from: from === 'cash' ? from : people[from].iban, to: people[to].iban, descr };
    const { success, reason } = verdictOf(await user.mutate(transferMoney, variables));
    if (!success) throw new Error(`${descr}: ${reason}`);
  }
  return people;
}

async function logInAt(page: Page, username: string): Promise<void> {
  await page.getByLabel('Username').fill(username);
  await page.getByLabel('Password').fill(`${username}-password`);
  await page.getByRole('button', { name: 'Log in' }).click();
}

/** Both of alice's and bob's pages beside each other, just after she has paid him, and hers on a phone. */
async function takeBanks({ browser, url, save }: Studio, { bob }: People): Promise<void> {
  const open = async (name: string, phone = false) => {
    const opened = await browser.open(url, phone ? { phone, scale: phoneScale } : {});
    if (!phone) await opened.page.setViewportSize(bankSize);
    await bankPage(opened.page).logIn(name);
    return opened;
  };
  const pages = [await open('alice'), await open('bob')] as const;
  const [hers, his] = pages;
  const { transfer, status } = bankPage(hers.page);
  await transfer(bob.iban, lastPayment.euros, lastPayment.descr);
  for (const { page } of pages) await bankPage(page).rows.filter({ hasText: lastPayment.descr }).first().waitFor();
  await status.filter({ hasText: /\S/ }).waitFor();
  for (const scheme of schemes) {
    const shots = [await shotOf(hers.page, scheme), await shotOf(his.page, scheme)];
    await save(`bank-${scheme}`, await sideBySide(browser, shots, canvas[scheme]));
  }
  const phone = await open('alice', true);
  for (const scheme of schemes) await save(`bank-phone-${scheme}`, await shotOf(phone.page, scheme));
  for (const { close } of [...pages, phone]) await close();
}

/** A subscription's event in GraphiQL. */
async function takeGraphiql({ browser, url, save }: Studio, { bob }: People): Promise<void> {
  const opened = await browser.open(`${url}/graphiql`);
  const { page } = opened;
  await page.setViewportSize({ width: 1_280, height: 800 });
  await logInAt(page, 'bob');
  await page.locator('.result-window .view-lines').waitFor();
  await page.getByRole('tab', { name: 'TransactionsLive' }).click();
  await page.getByRole('button', { name: /^Execute query/ }).click();
  await page.locator('.connection.live').waitFor();
  const variables = { token: '', amount: 4_000, from: 'cash', to: bob.iban, descr: 'Busking in the park' };
  await bob.user.mutate(transferMoney, variables);
  await page.locator('.result-window').getByText('Busking').waitFor();
  await page.getByText('Events, newest first').click();
  for (const scheme of schemes) await save(`graphiql-${scheme}`, await shotOf(page, scheme));
  await opened.close();
}

/** The console, after a gateway was killed under simulated users: what they got, lost and got twice. */
async function takeConsole({ browser, url, save }: Studio): Promise<void> {
  const opened = await browser.open(`${url}/console`);
  const { page } = opened;
  await page.setViewportSize({ width: 1_280, height: 1_000 });
  const names = Array.from({ length: sessions }, (_, index) => `guest-${index + 1}`);
  const users: User[] = [];
  for (const name of names) users.push(await openUser(url, name));
  for (const user of users) user.subscribe({ query: transactions }, { next: () => undefined });
  await logInAt(page, 'operator');
  await page.getByRole('table', { name: 'Partitions' }).waitFor();
  await countedAbove(page, 'delivered', 60);
  await page.getByRole('button', { name: 'Kill a gateway' }).click();
  await countedAbove(page, 'reconnects', 0);
  await countedAbove(page, 'delivered', 160);
  for (const scheme of schemes) await save(`console-${scheme}`, await shotOf(page, scheme));
  for (const user of users) await user.close();
  await opened.close();
}

/** Waits until a counter of the console shows more. */
async function countedAbove(page: Page, counter: string, least: number): Promise<void> {
  const shown = page.getByTestId(counter);
  await until(`${counter} above ${least}`, async () => Number(await shown.textContent()) > least, 120_000, 250);
}

async function shotOf(page: Page, colorScheme: 'light' | 'dark'): Promise<Buffer> {
  await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
  // A focused element's ring and caret would say nothing here.
  await page.evaluate('document.activeElement?.blur?.()');
  return page.screenshot({ animations: 'disabled', caret: 'hide' });
}

/** One picture of two. */
async function sideBySide(browser: TestBrowser, shots: readonly Buffer[], background: string): Promise<Buffer> {
  const opened = await browser.open('about:blank');
  const { page } = opened;
  const images = shots.map(png => `<img src="data:image/png;base64,${png.toString('base64')}">`).join('');
  const { width, height } = bankSize;
  await page.setViewportSize({ width: 2 * width + 24, height });
  await page.setContent(`<style>
    body { margin: 0; display: flex; gap: 24px; background: ${background} }
    img { width: ${width}px; height: ${height}px; border-radius: 12px; border: 1px solid #8886; box-sizing: border-box }
  </style>${images}`);
  const png = await page.screenshot();
  await opened.close();
  return png;
}
