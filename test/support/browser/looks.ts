import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { AxeBuilder } from '@axe-core/playwright';
import type { Page } from 'playwright-core';
import { root } from '../../../dev/stack/options.ts';

/** Returns what keeps people from using the page as it is now, by axe's rules: one line for each element. Empty: nothing. */
export async function accessibilityViolations(page: Page): Promise<string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations.flatMap(({ id, help, nodes }) =>
    nodes.map(({ target, failureSummary }) => `${id} (${help}) at ${target.join(' ')}: ${failureSummary}`),
  );
}

/** Writes `.penstock-screenshots/<name>.png`, for people to look at, and returns its path. Git ignores the folder. */
export async function screenshot(page: Page, name: string): Promise<string> {
  const folder = join(root, '.penstock-screenshots');
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.png`);
  await page.screenshot({ path, fullPage: true, animations: 'disabled' });
  return path;
}
