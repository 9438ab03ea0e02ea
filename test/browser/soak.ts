/**
 * `npm run soak:web [-- --minutes 10] [--rate 10] [--url http://127.0.0.1:8080]`: leaves a bank page and the console open under load,
 * and fails when either of them keeps growing, logs an error, or has not shown every event. Without an address it starts a stack of
 * its own; one that runs already has to be a local stack, whose console simulates users.
 */
import { randomUUID } from 'node:crypto';
import { parseArgs } from 'node:util';
import type { Page } from 'playwright-core';
import { main } from '../../dev/stack/main.ts';
import { Trouble } from '../../dev/stack/trouble.ts';
import { messageOf } from '../../lib/errors.ts';
import { formatCents } from '../../web/shared/format.ts';
import { type Account, account, transferMoney, verdictOf } from '../support/bank.ts';
import { counter, openConsole } from '../support/browser/console.ts';
import { growthOf, type Point } from '../support/browser/growth.ts';
import { type OpenPage, openBrowser, type TestBrowser, withoutChromium } from '../support/browser/index.ts';
import { openMemoryProbe, type PageMemory } from '../support/browser/memory.ts';
import { startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { openUser, type User } from '../support/user.ts';
import { bankPage } from './bank-page.ts';

/** Before it, the pages load, fill their lists, and have their code compiled. */
const warmUpSeconds = 60;
const sampleSeconds = 15;
/** What each page may grow by along the line through its measurements, from the first to the last of them. */
const mostGrowth = 0.1;
/** The list is read after so many payments. */
const paymentsBetweenLooks = 50;
/**
 * Payments that the list was not seen to show, at most; no more are made meanwhile, as where the machine is too busy. The list has the
 * newest 200, so that it shows each of them when it is read.
 */
const mostUnseen = 150;
/** Whole cents. */
const [deposit, payment] = [100_000_000, 1];

const kinds = ['heapBytes', 'nodes', 'listeners'] as const;

const print = (line: string) => void process.stdout.write(`${line}\n`);

interface Wishes {
  minutes: number;
  /** Payments a second. */
  rate: number;
  url: string | undefined;
}

await main(async signal => {
  const { minutes, rate, url } = wishesOf();
  if (withoutChromium) throw new Trouble(`the soak needs ${withoutChromium}`);
  const stack = url === undefined ? await startStack({ pages: true, gateways: 2 }) : undefined;
  signal.addEventListener('abort', () => void stack?.stop(), { once: true });
  const browser = await openBrowser();
  try {
    const faults = await soak(browser, { minutes, rate, url: url ?? stack?.url ?? '' }, signal);
    if (signal.aborted) return;
    if (faults.length > 0) throw new Trouble(faults.join('\n'));
    print('nothing has grown, nothing went wrong, and every event was shown');
  } finally {
    await browser.close();
    await stack?.stop();
  }
});

function wishesOf(): Wishes {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      minutes: { type: 'string', default: '10' },
      rate: { type: 'string', default: '10' },
    },
  });
  const [minutes, rate] = [Number(values.minutes), Number(values.rate)];
  if (!(minutes >= 2)) throw new Trouble('--minutes must be a number of 2 or more: the first minute is not measured');
  if (!(rate > 0 && rate <= 100)) throw new Trouble('--rate must be a number of payments a second, at most 100');
  return { minutes, rate, url: values.url };
}

/** Returns what went wrong, one line each. */
async function soak(
  browser: TestBrowser,
  { minutes, rate, url }: Wishes & { url: string },
  signal: AbortSignal,
): Promise<string[]> {
  const run = randomUUID().slice(0, 8);
  const [payee, payer] = [await openUser(url, `soak-payee-${run}`), await openUser(url, `soak-payer-${run}`)];
  const [to, from] = [await account(payee), await account(payer)];
  const filled = await payer.mutate(transferMoney, {
    ...{ token: from.token, amount: deposit, from: 'cash', to: from.iban, descr: 'Savings' },
  });
  if (!verdictOf(filled).success) throw new Trouble(`the payer gets no money: ${verdictOf(filled).reason}`);

  const pages = await openPages(browser, url, payee.name);
  const shown = new Set<string>();
  const payments = pay(payer, { from, to, rate, shown });
  try {
    await measure(pages, { minutes, rate, signal, payments, shown });
  } finally {
    // The stack is going: no verdict comes any more.
    if (signal.aborted) await payer.close();
    await payments.stop();
  }
  const faults = [...payments.faults];
  if (!signal.aborted) {
    const { bank, dashboard } = pages;
    for (const one of [bank, dashboard]) faults.push(...growthFaults(one));
    faults.push(...(await bankFaults(bank.opened.page, payee, { payments, shown })));
    faults.push(...(await consoleFaults(dashboard.opened.page)));
    for (const { name, opened } of [bank, dashboard]) {
      faults.push(...opened.complaints().map(({ kind, text }) => `the ${name} page complained (${kind}): ${text}`));
    }
  }
  for (const user of [payee, payer]) await user.close();
  return faults;
}

interface WatchedPage {
  name: string;
  opened: OpenPage;
  read(): Promise<PageMemory>;
  samples: Record<keyof PageMemory, Point[]>;
}

interface WatchedPages {
  bank: WatchedPage;
  dashboard: WatchedPage;
}

/** Opens the payee's bank page, and the console of an operator. */
async function openPages(browser: TestBrowser, url: string, payee: string): Promise<WatchedPages> {
  const bank = await browser.open(url);
  await bankPage(bank.page).logIn(payee);
  const dashboard = await openConsole({ browser, stack: { url } });
  await dashboard.page
    .getByTestId('delivered')
    .waitFor()
    .catch(() => {
      throw new Trouble(`the console of ${url} simulates no users: is it a local stack?`);
    });
  const watched = async (name: string, opened: OpenPage): Promise<WatchedPage> => {
    const read = await openMemoryProbe(opened.page);
    return { name, opened, read, samples: { heapBytes: [], nodes: [], listeners: [] } };
  };
  return { bank: await watched('bank', bank), dashboard: await watched('console', dashboard) };
}

interface Payments {
  /** Descriptions of those that the bank took. */
  accepted: Set<string>;
  /** Why others got no verdict, or were refused. */
  faults: string[];
  /** Resolves when every payment has its verdict. */
  stop(): Promise<void>;
}

interface PayWishes {
  from: Account;
  to: Account;
  /** Payments a second. */
  rate: number;
  /** Descriptions of payments that the payee's page has shown. */
  shown: ReadonlySet<string>;
}

/** Pays until it is stopped, however long a verdict takes, but not further ahead of the payee's page than `mostUnseen`. */
function pay(payer: User, { from, to, rate, shown }: PayWishes): Payments {
  const accepted = new Set<string>();
  const faults: string[] = [];
  const open = new Set<Promise<void>>();
  let lastMs = performance.now();
  let due = 0;
  let made = 0;

  async function payOnce(descr: string): Promise<void> {
    try {
      const variables = { token: from.token, amount: payment, from: from.iban, to: to.iban, descr };
      const { success, reason } = verdictOf(await payer.mutate(transferMoney, variables));
      if (success) accepted.add(descr);
      else faults.push(`${descr} was refused: ${reason}`);
    } catch (error) {
      faults.push(`${descr} got no verdict: ${messageOf(error)}`);
    }
  }

  const timer = setInterval(() => {
    const nowMs = performance.now();
    // What was missed for more than a second is not made up for.
    due = Math.min(Math.max(1, rate), due + ((nowMs - lastMs) * rate) / 1_000);
    lastMs = nowMs;
    for (; due >= 1 && made < shown.size + mostUnseen; due--) {
      const paid: Promise<void> = payOnce(`payment ${++made}`).finally(() => open.delete(paid));
      open.add(paid);
    }
  }, 1_000 / rate);
  return {
    accepted,
    faults,
    async stop() {
      clearInterval(timer);
      await Promise.all(open);
    },
  };
}

interface Measuring {
  minutes: number;
  rate: number;
  signal: AbortSignal;
  payments: Payments;
  shown: Set<string>;
}

/** Measures the pages until the time is over, and keeps which payments the bank's list has shown. */
async function measure(
  { bank, dashboard }: WatchedPages,
  { minutes, rate, signal, payments, shown }: Measuring,
): Promise<void> {
  const startMs = performance.now();
  const seconds = () => (performance.now() - startMs) / 1_000;
  const lookSeconds = Math.min(sampleSeconds, paymentsBetweenLooks / rate);
  let nextSample = warmUpSeconds;
  let nextLook = 0;
  while (seconds() < minutes * 60 && !signal.aborted) {
    await new Promise(resolve => setTimeout(resolve, 250));
    if (seconds() >= nextLook) {
      await look(bank.opened.page, shown);
      nextLook = seconds() + lookSeconds;
    }
    if (seconds() < nextSample) continue;
    const atSeconds = seconds();
    nextSample = atSeconds + sampleSeconds;
    const texts = await Promise.all([sample(bank, atSeconds), sample(dashboard, atSeconds)]);
    const delivered = await counter(dashboard.opened.page, 'delivered');
    texts.push(`${payments.accepted.size} payments, ${delivered} simulated events`);
    print(`${String(Math.round(atSeconds)).padStart(4)} s: ${texts.join('; ')}`);
  }
}

async function sample({ name, read, samples }: WatchedPage, atSeconds: number): Promise<string> {
  const memory = await read();
  for (const what of kinds) samples[what].push({ atSeconds, value: memory[what] });
  const { heapBytes, nodes, listeners } = memory;
  return `${name} ${(heapBytes / 1e6).toFixed(2)} MB, ${nodes} nodes, ${listeners} listeners`;
}

/** Adds the payments that the bank's list shows now. */
async function look(page: Page, shown: Set<string>): Promise<void> {
  for (const text of await bankPage(page).rows.locator('.description').allTextContents()) shown.add(text);
}

/** Says how each page has grown, and returns which growth is too much. */
function growthFaults({ name, samples }: WatchedPage): string[] {
  return kinds.flatMap(what => {
    const growth = growthOf(samples[what]);
    const text = `the ${name} page's ${what === 'heapBytes' ? 'heap' : what}: ${(100 * growth).toFixed(1)} % more`;
    print(text);
    return growth > mostGrowth ? [`${text}, of at most ${100 * mostGrowth} %`] : [];
  });
}

/** Returns what the bank page shows that is not so. */
async function bankFaults(page: Page, payee: User, { payments, shown }: Pick<Measuring, 'payments' | 'shown'>) {
  const paid = payments.accepted.size * payment;
  const truth = await until('the balance in the view', async () => {
    const { account } = (await payee.post('{ account { balance } }')).data as { account?: { balance: number } };
    // A payment whose verdict is not known counts as a fault already, and may have been made.
    return account !== undefined && account.balance >= paid ? account.balance : undefined;
  });
  const wanted = formatCents(truth);
  const { balance } = bankPage(page);
  const isShown = await until('the balance in the page', async () => (await balance.textContent()) === wanted).then(
    () => true,
    () => false,
  );
  const missing = () => [...payments.accepted].filter(descr => !shown.has(descr));
  // The list is a stream of its own, and may be a moment behind the balance.
  const isComplete = await until('the newest payments in the list', async () => {
    await look(page, shown);
    return missing().length === 0;
  }).then(
    () => true,
    () => false,
  );
  print(`the bank page has shown ${shown.size} of ${payments.accepted.size} payments; the balance is ${wanted}`);
  return [
    ...(isShown ? [] : [`the bank page shows the balance ${await balance.textContent()}, and not ${wanted}`]),
    ...(isComplete ? [] : [`the bank page has not shown ${missing().length} payments, such as ${missing()[0]}`]),
  ];
}

/** Returns what the console's own comparison found of the events of its simulated users. */
async function consoleFaults(page: Page): Promise<string[]> {
  await page.getByRole('button', { name: 'Pause payments' }).click();
  const delivered = await counter(page, 'delivered');
  // An event that is only late is not lost any more when it has come.
  await until('none is lost', async () => (await counter(page, 'lost')) === 0).catch(() => undefined);
  const counts = { delivered, lost: await counter(page, 'lost'), twice: await counter(page, 'twice') };
  print(`the console page's simulated users: ${counts.delivered} events, ${counts.lost} lost, ${counts.twice} twice`);
  return counts.delivered > 0 && counts.lost === 0 && counts.twice === 0
    ? []
    : [`the console page counts ${JSON.stringify(counts)} of its simulated users' events`];
}
