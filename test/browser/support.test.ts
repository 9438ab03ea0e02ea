import assert from 'node:assert/strict';
import { once } from 'node:events';
import { statSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, test } from 'node:test';
import {
  accessibilityViolations,
  networkErrors,
  openBrowser,
  screenshot,
  type TestBrowser,
  withoutChromium,
} from '../support/browser/index.ts';
import { sharedStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const skip = withoutChromium;
let browser: TestBrowser;

before(async () => {
  if (!skip) browser = await openBrowser();
});
after(() => browser?.close());

for (const [name, wishes] of Object.entries({
  light: {},
  'dark on a phone': { colorScheme: 'dark', phone: true },
} as const)) {
  test(`the router's page opens in a real browser, ${name}, and does nothing that it may not`, { skip }, async () => {
    const { url } = await sharedStack();
    const opened = await browser.open(url, wishes);
    const { page } = opened;
    assert.match((await page.locator('body').textContent()) ?? '', /Penstock/);
    assert.equal(await page.evaluate('matchMedia("(prefers-color-scheme: dark)").matches'), 'colorScheme' in wishes);
    assert.ok(statSync(await screenshot(page, `router-${name.replaceAll(' ', '-')}`)).size > 1_000);
    assert.ok(Array.isArray(await accessibilityViolations(page)));
    opened.assertClean();
    await opened.close();
  });
}

/** A page that does all of it. */
const bad = (elsewhere: string) => `<!doctype html><html><body><img src="/missing.png">
<script nonce="good">
  console.error('an error');
  setTimeout(() => { throw new Error('thrown in the page'); });
  fetch('${elsewhere}/secret').catch(() => {});
  new WebSocket('${elsewhere.replace('http', 'ws')}/socket');
</script>
<script>console.log('forbidden')</script></body></html>`;

test('a page that errs, breaks its policy or asks elsewhere is found out, and axe sees what is missing', {
  skip,
}, async () => {
  const server = createServer((request, response) => {
    if (request.url !== '/') return void response.writeHead(404).end();
    const { port } = server.address() as AddressInfo;
    response.writeHead(200, {
      'content-type': 'text/html',
      'content-security-policy': "script-src 'nonce-good'",
    });
    response.end(bad(`http://localhost:${port}`));
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const opened = await browser.open(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  const found = () => opened.complaints().map(({ kind, text }) => `${kind}: ${text}`);
  const expected = [
    /^console: an error/,
    /^console: Failed to load resource/,
    /^thrown: Error: thrown in the page/,
    /^policy: script-src-elem blocks inline/,
    /^request: http:\/\/localhost:\d+\/secret/,
    /^request: ws:\/\/localhost:\d+\/socket/,
  ];
  await until(
    () => `all complaints: ${found().join('\n')}`,
    () => expected.every(pattern => found().some(text => pattern.test(text))),
  );
  assert.throws(() => opened.assertClean(networkErrors), /an error/);
  assert.match((await accessibilityViolations(opened.page)).join('\n'), /^image-alt /m);
  await opened.close();
  server.close();
});
