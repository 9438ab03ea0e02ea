/** Pages in a real browser. A test says `{ skip: withoutChromium }`. */
export { networkErrors, type OpenPage, openBrowser, type TestBrowser } from './browser.ts';
export { withoutChromium } from './chromium.ts';
export { accessibilityViolations, screenshot } from './looks.ts';
