import assert from 'node:assert/strict';
import { test } from 'node:test';
import { acceptedForms } from '../../../../services/gateway/http/negotiation.ts';

const json = 'application/json';
const response = 'application/graphql-response+json';
const events = 'text/event-stream';

test('the forms that a client accepts come out best first', () => {
  const table: readonly [string | undefined, readonly string[]][] = [
    [undefined, [json, response, events]],
    ['', [json, response, events]],
    ['*/*', [json, response, events]],
    ['application/*', [json, response]],
    ['text/*', [events]],
    [json, [json]],
    ['APPLICATION/JSON; charset=utf-8', [json]],
    [`${response}, ${json};q=0.9`, [response, json]],
    [`${json};q=0.5, ${response}`, [response, json]],
    [`${response}, ${json}, ${events}, multipart/mixed`, [response, json, events]],
    [`${events}, */*;q=0.1`, [events, json, response]],
    [`*/*, ${json};q=0`, [response, events]],
    ['text/html', []],
    ['text/html, image/*;q=0.8', []],
    [`${json};q=nonsense`, []],
  ];
  for (const [accept, forms] of table) assert.deepEqual(acceptedForms(accept), forms, accept);
});
