import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { describeChart, knownVariables } from '../../helm/document.ts';

const chart = (name: string) => readFileSync(new URL(`../../helm/penstock/${name}`, import.meta.url), 'utf8');

test("the chart's schema and README say what its values.yaml says", () => {
  const { schema, readme } = describeChart(chart('values.yaml'));
  assert.equal(chart('values.schema.json'), schema, 'run: npm run helm:docs');
  assert.equal(chart('README.md'), readme, 'run: npm run helm:docs');
});

test('the chart knows the variables that the services know', () => {
  assert.equal(chart('files/variables.txt'), knownVariables(), 'run: npm run helm:docs');
});

test('a value without a comment, or null without a type, is refused', () => {
  assert.throws(() => describeChart('a: 1'), /^Error: a has no comment$/);
  assert.throws(() => describeChart('# -- text\na: null'), /a is null: its type must stand/);
});
