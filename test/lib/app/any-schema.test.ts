import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import fc from 'fast-check';
import { compileApp, SchemaError } from '../../../lib/app/index.ts';

const apps = ['apps/bank', 'examples/fleet'].map(folder => readFileSync(`${folder}/schema.graphql`, 'utf8'));
const tokens = apps.map(body =>
  body.split(/(\s+|"[^"]*"|\w+|[^\w\s])/).filter(token => token !== undefined && token !== ''),
);
const words = [...new Set(tokens.flat())];

/** A schema in which some tokens are replaced by others, dropped or doubled. */
const mutilated = fc
  .tuple(
    fc.constantFrom(...tokens),
    fc.array(fc.tuple(fc.nat(), fc.oneof(fc.constant(''), fc.constantFrom(...words))), { minLength: 1, maxLength: 6 }),
  )
  .map(([text, changes]) => {
    const changed = [...text];
    for (const [at, word] of changes) changed[at % changed.length] = word;
    return changed.join('');
  });

test('any text either compiles or is refused with problems that lie inside it', () => {
  fc.assert(
    fc.property(mutilated, body => {
      try {
        compileApp({ name: 'x', body });
      } catch (error) {
        assert.ok(error instanceof SchemaError, error instanceof Error ? error.stack : String(error));
        assert.ok(error.problems.length > 0);
        const lines = body.split('\n');
        for (const { line, column, message } of error.problems) {
          assert.ok(line >= 1 && line <= lines.length && column >= 1, message);
          assert.ok(column <= (lines[line - 1] ?? '').length + 1, message);
        }
      }
    }),
    { numRuns: Number(process.env.RUNS ?? 300) },
  );
});
