import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { logEvents } from '../../../lib/ops/log-events.ts';
import { quietOps } from '../../support/quiet-ops.ts';

const root = join(import.meta.dirname, '../../..');
const sources = globSync('{apps,dev,jobs,lib,services}/**/*.{ts,mjs}', { cwd: root })
  .filter(path => path !== 'lib/ops/log-events.ts')
  .map(path => ({ path, text: readFileSync(join(root, path), 'utf8') }));
const catalogued = Object.values(logEvents).flatMap(events => Object.entries<string>(events));

test('a log event has one name of at least two words, one level, and a text of whole sentences that fits a table', () => {
  const names = catalogued.map(([event]) => event);
  assert.deepEqual(
    names.filter((event, at) => !/^[a-z]+(_[a-z]+)+$/.test(event) || names.indexOf(event) !== at),
    [],
  );
  assert.deepEqual(
    catalogued.filter(([, text]) => !/^[A-Z][^|]{0,196}\.$/.test(text)),
    [],
  );
});

test('every log event of the catalogue is written somewhere', () => {
  const written = new Set(sources.flatMap(({ text }) => text.match(/(?<=')[a-z_]+(?=')/g) ?? []));
  assert.deepEqual(
    catalogued.map(([event]) => event).filter(event => !written.has(event)),
    [],
  );
});

test('only the room of logs opens one, so that no line goes without an event', () => {
  const openers = sources.filter(({ text }) => /from 'pino'/.test(text)).map(({ path }) => path);
  assert.deepEqual(openers, ['lib/ops/log.ts']);
});

test('a line without an event, with an unknown one or with one of another level does not compile', () => {
  const { log } = quietOps();
  // @ts-expect-error -- no event
  log.info({ topic: 'events' }, 'said');
  // @ts-expect-error -- not in the catalogue
  log.info({ event: 'made_up' }, 'said');
  // @ts-expect-error -- listed under error
  log.info({ event: 'ledger_went_back' }, 'said');
  // @ts-expect-error -- no fields
  log.info('said');
  // @ts-expect-error -- no message
  log.error({ event: 'ledger_went_back' });
  log.error({ event: 'ledger_went_back' }, 'said');
});
