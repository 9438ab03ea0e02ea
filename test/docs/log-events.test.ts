import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { logEventReference } from '../../docs/generate-log-events.ts';
import { logEvents } from '../../lib/ops/log-events.ts';

const read = (name: string) => readFileSync(new URL(`../../docs/${name}`, import.meta.url), 'utf8');

test('the reference of log events tells every event as it is in the catalogue', () => {
  assert.equal(read('log-events.md'), logEventReference(), 'run: npm run docs:events');
});

test('a log event that the operations document quotes is in the catalogue', () => {
  const known = new Set(Object.values(logEvents).flatMap(Object.keys));
  const quoted = [...read('operations.md').matchAll(/\blogs? (?:line )?(?:`event: )?[`"]([a-z_]+)[`"]/g)].map(
    match => match[1] ?? '',
  );
  assert.ok(quoted.length > 30);
  assert.deepEqual(
    quoted.filter(event => !known.has(event)),
    [],
  );
});

test('a section of the operations document that an event leads to is there', () => {
  const titles = new Set([...read('operations.md').matchAll(/^## (.+)$/gm)].map(match => match[1]));
  const named = Object.values(logEvents)
    .flatMap(Object.values<string>)
    .flatMap(text => /See "([^"]+)"/.exec(text)?.[1] ?? []);
  assert.ok(named.length > 0);
  assert.deepEqual(
    named.filter(title => !titles.has(title)),
    [],
  );
});
