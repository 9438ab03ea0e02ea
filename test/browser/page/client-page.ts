import assert from 'node:assert/strict';
import type { Event } from '@penstock/client';
import type { BankClient, Change } from '../../client/bank.ts';
import type { OpenPage, TestBrowser } from '../../support/browser/index.ts';
import { until } from '../../support/until.ts';
import type { Feedback, TestPage } from './client.ts';

/** The page of `client.ts`, seen from the test. Its account is open. */
export interface ClientPage extends OpenPage {
  user: string;
  /** Someone else who is logged in as the same user: what they pay, the page hears of. */
  other: BankClient;
  /** What its subscription has yielded, in all of its lives. */
  events: readonly Event<Change>[];
  amounts(): number[];
  /** Asks the page. */
  ask<Name extends 'state' | 'reasons' | 'counters' | 'tokensAsked'>(name: Name): Promise<ReturnType<TestPage[Name]>>;
  /** Resolves with the verdict. A page that is closed meanwhile rejects. */
  pay(amount: number, commandId?: string): Promise<Feedback>;
  untilStatus(status: string): Promise<void>;
  /** Resolves when the page has got all payments up to this one; they are 1, 2, 3 … */
  untilPaid(last: number): Promise<void>;
}

/** Opens the page at `url`, and waits until its subscription is live. */
export async function openClientPage(browser: TestBrowser, url: string, other: BankClient, user: string) {
  const events: Event<Change>[] = [];
  const opened = await browser.open('about:blank', { otherOrigins: [url] });
  await opened.context.exposeBinding('penstockTestEvent', (_source, event) => void events.push(event));
  await opened.page.goto(`${url}/test/?user=${user}`);
  const { page } = opened;
  const clientPage: ClientPage = {
    ...opened,
    ...{ user, other, events },
    amounts: () => events.map(({ data }) => data.transactions.changedBy),
    ask: name => page.evaluate(`testPage.${name}()`),
    pay(amount, commandId) {
      const variables = { token: other.secret, amount, from: 'cash', to: other.iban };
      return page.evaluate(`testPage.pay(${JSON.stringify(variables)}, ${JSON.stringify(commandId)})`);
    },
    async untilStatus(status) {
      let reasons: string[] = [];
      await until(
        () => `${status}: it was ${reasons.join(', ')}`,
        async () => {
          reasons = await clientPage.ask('reasons');
          return (await clientPage.ask('state')).status === status;
        },
      );
    },
    async untilPaid(last) {
      await until(
        () => `payment ${last}: the page has ${clientPage.amounts().join()}`,
        () => events.length >= last,
        60_000,
      );
      assert.deepEqual(
        clientPage.amounts(),
        Array.from({ length: last }, (_, index) => index + 1),
      );
    },
  };
  await page.waitForFunction('globalThis.testPage !== undefined');
  await clientPage.untilStatus('live');
  return clientPage;
}
