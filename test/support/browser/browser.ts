import assert from 'node:assert/strict';
import { type Browser, type BrowserContext, chromium, devices, type Page } from 'playwright-core';
import { chromiumProgram } from './chromium.ts';
import { type Complaint, watchPage } from './complaints.ts';

/** A real Chromium, with a profile of its own. It takes some 300 MB and a core while it starts: open one for a test file. */
export interface TestBrowser {
  /** Opens the address in a context of its own: another person, with other cookies and another storage. */
  open(url: string, wishes?: PageWishes): Promise<OpenPage>;
  /** Ids of the processes that run pages now: what SIGSTOP does to one is what sleep does to a machine. */
  pageProcesses(): Promise<number[]>;
  /** Closes all pages, too. */
  close(): Promise<void>;
}

export interface PageWishes {
  /** Default: light. */
  colorScheme?: 'dark' | 'light';
  /** Width, touch and user agent of a phone. */
  phone?: boolean;
  /** Pixels of a screenshot for one of the page. Default: 1, and what a phone has. */
  scale?: number;
  /** Origins that the page may send requests to, beside its own. */
  otherOrigins?: readonly string[];
}

export interface OpenPage {
  page: Page;
  context: BrowserContext;
  /** What went wrong in it since it was opened: see {@link Complaint}. */
  complaints(): readonly Complaint[];
  /**
   * Fails with everything that went wrong in it. A test that kills a gateway or takes the network away expects
   * `networkErrors`: the browser itself logs each connection that fails.
   */
  assertClean(expected?: RegExp): void;
  /** Ends the context. */
  close(): Promise<void>;
}

/** What Chromium logs of a request, or of a WebSocket, that fails. No page can prevent it. */
export const networkErrors = /^console: (Failed to load resource|WebSocket connection to )/;

/** None of its own requests, no GPU that a machine for tests lacks, and the protocols that the router speaks. */
const flags = [
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

export async function openBrowser(): Promise<TestBrowser> {
  if (chromiumProgram === undefined) throw new Error('no Chromium: skip the test with withoutChromium');
  // Playwright makes an empty profile, and removes it. It adds --headless and --no-sandbox, which root needs.
  const browser = await chromium.launch({ executablePath: chromiumProgram, chromiumSandbox: false, args: flags });
  return {
    open: (url, wishes) => openPage(browser, url, wishes),
    async pageProcesses() {
      const session = await browser.newBrowserCDPSession();
      const { processInfo } = await session.send('SystemInfo.getProcessInfo');
      await session.detach();
      return processInfo.filter(({ type }) => type === 'renderer').map(({ id }) => id);
    },
    close: () => browser.close(),
  };
}

async function openPage(browser: Browser, url: string, wishes: PageWishes = {}): Promise<OpenPage> {
  const { colorScheme = 'light', phone = false, scale, otherOrigins = [] } = wishes;
  // Texts and amounts look the same whatever the machine is set to.
  const context = await browser.newContext({
    ...(phone && devices['Pixel 7']),
    ...(scale !== undefined && { deviceScaleFactor: scale }),
    colorScheme,
    locale: 'en-IE',
    timezoneId: 'UTC',
  });
  const complaints: Complaint[] = [];
  await watchPage(context, [new URL(url).origin, ...otherOrigins], complaint => complaints.push(complaint));
  const page = await context.newPage();
  await page.goto(url);
  return {
    page,
    context,
    complaints: () => complaints,
    assertClean(expected) {
      const unexpected = complaints.map(({ kind, text }) => `${kind}: ${text}`);
      assert.deepEqual(
        unexpected.filter(text => !expected?.test(text)),
        [],
      );
    },
    close: () => context.close(),
  };
}
