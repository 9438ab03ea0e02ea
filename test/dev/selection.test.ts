import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { test } from 'node:test';
import { root } from '../../dev/stack/options.ts';
import { select } from '../runner/selection.ts';

const paths = (files: readonly string[]) => files.map(file => relative(root, file));

test('without arguments everything is run, and what starts stacks of its own runs apart from the others', () => {
  const { together, apart, alone, everything, needsServices } = select([], root);
  assert.ok(everything && needsServices);
  assert.ok(paths(together).includes('test/house.test.ts'));
  assert.ok(paths(apart).includes('test/dev/selection.test.ts'));
  assert.ok(paths(together).every(path => !/^test\/(dev|faults|static)\//.test(path)));
  const isMarked = (mark: string) => (file: string) => readFileSync(file, 'utf8').includes(`// ${mark}: `);
  for (const file of apart) assert.ok(/test\/(dev|faults|static)\//.test(file) || isMarked('runs apart')(file), file);
  assert.ok(alone.every(isMarked('runs alone')));
  const all = [...together, ...apart, ...alone];
  assert.equal(new Set(all).size, all.length);
});

test('what only looks at files starts no server, and nothing else fetches tools', () => {
  const looks = select(['test/static'], root);
  assert.deepEqual([looks.together.length, looks.needsServers, looks.needsTools], [0, false, true]);
  const both = select(['test/static', 'house'], root);
  assert.deepEqual([both.needsServers, both.needsTools], [true, true]);
  const other = select(['house'], root);
  assert.deepEqual([other.needsServers, other.needsTools, other.update], [true, false, false]);
  assert.equal(select(['test/static', '--update'], root).update, true);
});

test('the long ones start first', () => {
  const { together } = select([], root);
  const isLong = together.map(file => /^\/\/ starts first: /m.test(readFileSync(file, 'utf8')));
  assert.ok(isLong[0]);
  assert.deepEqual(
    isLong,
    isLong.toSorted((one, other) => Number(other) - Number(one)),
  );
});

test('a file, a folder or a part of a path selects', () => {
  assert.deepEqual(paths(select(['test/house.test.ts'], root).together), ['test/house.test.ts']);
  assert.deepEqual(paths(select(['murmur2'], root).together), ['test/lib/kafka/murmur2.test.ts']);
  assert.deepEqual(select(['lib/kafka'], root), select(['test/lib/kafka'], root));
  const { together, everything } = select(['test/lib/ops', 'house'], root);
  assert.equal(everything, false);
  assert.ok(paths(together).includes('test/house.test.ts'));
  assert.ok(paths(together).some(path => path.startsWith('test/lib/ops/')));
  assert.ok(paths(together).every(path => path === 'test/house.test.ts' || path.startsWith('test/lib/ops/')));
});

test('services are started only for the tests that speak to them', () => {
  assert.equal(select(['test/lib'], root).needsServices, false);
  assert.equal(select(['test/e2e'], root).needsServices, true);
  assert.equal(select(['test/browser/support'], root).needsServices, true);
  assert.equal(select(['test/browser/support'], root).needsPages, true);
  assert.equal(select(['test/e2e'], root).needsPages, false);
});

test('a filter that fits nothing is an error, not an empty success', () => {
  assert.throws(() => select(['no-such-test'], root), /no test file fits "no-such-test"/);
});
