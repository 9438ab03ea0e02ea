import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { openStage, type Stage } from './stage.ts';

let stage: Stage;
before(async () => {
  stage = await openStage();
});
after(() => stage.close());

test('a command becomes a verdict and events, with the headers that readers rely on', async () => {
  const handler = await stage.start();
  await handler.ready();
  const id = await stage.command('alice', 'openAccount', {});
  const verdict = await stage.verdict('alice', id);
  console.log(verdict);
  handler.signal('SIGTERM');
  assert.equal(await handler.exited, 0);
});
