import type { Locator, Page } from 'playwright-core';

/** The bank's page as a user finds it: by labels, roles and test ids of the contract. */
export interface BankPage {
  page: Page;
  logIn(username: string, password?: string): Promise<void>;
  openAccount(): Promise<string>;
  transfer(to: string, amount: string, description: string): Promise<void>;
  payIn(amount: string): Promise<void>;
  balance: Locator;
  connection: Locator;
  /** The verdict on the last order. */
  status: Locator;
  /** Without the heading. */
  rows: Locator;
}

export function bankPage(page: Page): BankPage {
  const formWith = (button: string): Locator =>
    page.locator('form').filter({ has: page.getByRole('button', { name: button, exact: true }) });
  return {
    page,
    balance: page.getByTestId('balance'),
    connection: page.getByTestId('connection'),
    status: page.getByRole('status'),
    rows: page.getByRole('table', { name: 'Transactions' }).locator('tbody').getByRole('row'),
    async logIn(username, password = `${username}-password`) {
      await page.getByLabel('Username').fill(username);
      await page.getByLabel('Password').fill(password);
      await page.getByRole('button', { name: 'Log in' }).click();
      await page
        .getByTestId('connection')
        .filter({ hasText: /^live$/ })
        .waitFor();
    },
    async openAccount() {
      await page.getByRole('button', { name: 'Open account' }).click();
      return (await page.getByTestId('iban').textContent()) ?? '';
    },
    async transfer(to, amount, description) {
      const form = formWith('Transfer');
      await form.getByLabel('To').fill(to);
      await form.getByLabel('Amount').fill(amount);
      await form.getByLabel('Description').fill(description);
      await form.getByRole('button', { name: 'Transfer' }).click();
    },
    async payIn(amount) {
      const form = formWith('Pay in');
      await form.getByLabel('Amount').fill(amount);
      await form.getByRole('button', { name: 'Pay in' }).click();
    },
  };
}
