import type { Page } from 'playwright-core';
import type { Stack } from '../stack.ts';
import { until } from '../until.ts';
import type { OpenPage, TestBrowser } from './browser.ts';

type Wishes = Parameters<TestBrowser['open']>[1];

/** The console of an operator who has logged in. */
export async function openConsole(
  { browser, stack }: { browser: TestBrowser; stack: Pick<Stack, 'url'> },
  wishes: Wishes = {},
  prepare?: (page: Page) => Promise<void>,
): Promise<OpenPage> {
  const opened = await browser.open(`${stack.url}/console`, wishes);
  const { page } = opened;
  await prepare?.(page);
  await page.getByLabel('Username').fill('operator');
  await page.getByLabel('Password').fill('operator-password');
  await page.getByRole('button', { name: 'Log in' }).click();
  await page.getByRole('table', { name: 'Partitions', exact: true }).waitFor();
  return opened;
}

/** One of the counters of the proof. */
export const counter = async (page: Page, name: string) => Number(await page.getByTestId(name).textContent());

/** The words of a table's rows. */
export async function rowsOf(page: Page, name: string): Promise<string[]> {
  return page.getByRole('table', { name, exact: true }).locator('tbody tr').allInnerTexts();
}

/** Waits until the page shows that these gateways own all partitions, each of them some. */
export async function untilAllOwned(page: Page, partitions: number, gateways: readonly string[]): Promise<void> {
  await until(
    'every partition has one of these owners',
    async () => {
      const rows = await rowsOf(page, 'Partitions');
      const owned = rows.filter(
        row =>
          gateways.some(name => new RegExp(`\\b${name}\\b`).test(row)) && !/silent|no owner|over|claiming/.test(row),
      );
      const isSpread = gateways.every(name => rows.some(row => row.includes(name)));
      return rows.length === partitions && owned.length === rows.length && isSpread;
    },
    90_000,
    200,
  );
}
