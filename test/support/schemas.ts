import assert from 'node:assert/strict';
import { type AppPlan, compileApp, SchemaError } from '../../lib/app/index.ts';

/** Compiles a schema under the name `app.graphql`. */
export function compiled(body: string): AppPlan {
  return compileApp({ name: 'app.graphql', body });
}

/**
 * Asserts that a schema is refused with just these messages, in this order. Each `^` in the text marks the place that
 * the message of the same rank names; the marks are taken out before the schema is compiled.
 */
export function assertRefused(marked: string, messages: readonly string[]): void {
  const { body, places } = unmarked(marked);
  assert.equal(places.length, messages.length, 'a test needs one mark for each message');
  assert.throws(
    () => compiled(body),
    (error: unknown) => {
      assert.ok(error instanceof SchemaError, String(error));
      const told = error.problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`);
      assert.deepEqual(
        told,
        messages.map((message, index) => `app.graphql:${places[index]}: ${message}`),
      );
      assert.equal(error.message, told.join('\n'));
      return true;
    },
  );
}

function unmarked(marked: string): { body: string; places: string[] } {
  const places: string[] = [];
  const lines = marked.split('\n').map((line, index) => {
    const [first = '', ...rest] = line.split('^');
    let clean = first;
    for (const part of rest) {
      places.push(`${index + 1}:${clean.length + 1}`);
      clean += part;
    }
    return clean;
  });
  return { body: lines.join('\n'), places };
}
