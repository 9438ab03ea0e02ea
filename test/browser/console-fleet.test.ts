// runs apart: it scales, restarts and stops the gateways of a stack of its own
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { backUp } from '../chaos/whole.ts';
import { counter, openConsole, rowsOf, untilAllOwned } from '../support/browser/console.ts';
import { networkErrors, openBrowser, type TestBrowser, withoutChromium } from '../support/browser/index.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';

const skip = withoutChromium;
let stack: Stack;
let browser: TestBrowser;

before(async () => {
  if (skip) return;
  stack = await startStack({ gateways: 2, pages: true });
  browser = await openBrowser();
});
after(async () => {
  await browser?.close();
  await stack?.stop();
});

test('the console shows every partition and gateway, and follows a scale-up and a rolling restart', {
  skip,
}, async () => {
  const opened = await openConsole({ browser, stack });
  const { page } = opened;
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  await until('rows of both gateways', async () => (await rowsOf(page, 'Gateways')).length === 2);
  await stack.scale({ gateway: 3 });
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1', 'gateway-2']);
  for (const name of ['gateway-0', 'gateway-1', 'gateway-2']) {
    const oldPid = stack.process(name).pid;
    stack.kill(name, 'SIGTERM');
    await backUp(stack, name, oldPid);
    await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1', 'gateway-2']);
  }
  assert.ok((await rowsOf(page, 'Handoffs')).length > 1);
  await stack.scale({ gateway: 2 });
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  await until('the third has left', async () => (await rowsOf(page, 'Gateways')).length === 2);
  assert.equal(await counter(page, 'lost'), 0);
  assert.equal(await counter(page, 'twice'), 0);
  opened.assertClean(networkErrors);
  await opened.close();
});

test('a gateway that stands still is shown as silent, and hides nothing of the others', { skip }, async () => {
  const opened = await openConsole({ browser, stack });
  const { page } = opened;
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  const oldPid = stack.process('gateway-1').pid;
  stack.pause('gateway-1');
  await until(
    'it is silent',
    async () => (await rowsOf(page, 'Gateways')).some(row => /gateway-1.*silent for/s.test(row)),
    60_000,
    100,
  );
  await untilAllOwned(page, stack.partitions, ['gateway-0']);
  stack.kill('gateway-1');
  await backUp(stack, 'gateway-1', oldPid);
  await untilAllOwned(page, stack.partitions, ['gateway-0', 'gateway-1']);
  opened.assertClean(networkErrors);
  await opened.close();
});
