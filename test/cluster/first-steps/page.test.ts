import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { root } from '../../../dev/stack/options.ts';
import { stepsOf } from './page.ts';

test('the commands of a page are read by step, and a backslash joins lines', () => {
  const page = [
    '# Page\n\n## First\n\nText.\n\n1. Make it. Then look.\n\n   ```sh\n   a one \\',
    '     two\n   b | c\n   ```\n\n2. No commands\n\n## Second\n\n```sh\nd\n```\n',
  ].join('\n');
  assert.deepEqual(stepsOf(page, 'First'), [
    { title: '1. Make it', commands: ['a one \\\n  two', 'b | c'] },
    { title: '2. No commands', commands: [] },
  ]);
  assert.throws(() => stepsOf(page, 'Third'), /no section 'Third'/);
});

test('each step of the first section of docs/kubernetes.md has commands', () => {
  const page = readFileSync(join(root, 'docs/kubernetes.md'), 'utf8');
  const steps = stepsOf(page, 'From nothing to a live subscription');
  assert.equal(steps.length, 6);
  for (const { title, commands } of steps) assert.ok(commands.length > 0, title);
});
