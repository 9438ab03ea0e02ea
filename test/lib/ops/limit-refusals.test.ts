import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Registry } from 'prom-client';
import { httpStatusOf, limitExceeded, limitStatus } from '../../../lib/errors.ts';
import { variablesOf } from '../../../lib/ops/config.ts';
import { catalogue, openLimitRefusals } from '../../../lib/ops/index.ts';

async function lines(registry: Registry): Promise<string[]> {
  return (await registry.metrics()).split('\n').filter(line => line.startsWith('penstock_limit_refused_total'));
}

test('errors count by the limit that they name, and no others', async () => {
  const registry = new Registry();
  const { countErrors, count } = openLimitRefusals(registry);
  const { code, extensions } = limitExceeded('PENSTOCK_GATEWAY_MAX_FIELDS', 'too many');
  const fields = { extensions: { ...extensions, code } };
  countErrors([fields, fields, { extensions: { code: 'FORBIDDEN', limit: extensions.limit } }, {}], 'sse');
  countErrors([{ extensions: { code, limit: 'toString' } }, { extensions: { code } }], 'http');
  countErrors(undefined, 'http');
  count('PENSTOCK_GATEWAY_MAX_PENDING', 'ws');
  assert.deepEqual(await lines(registry), [
    'penstock_limit_refused_total{limit="PENSTOCK_GATEWAY_MAX_FIELDS",transport="sse"} 2',
    'penstock_limit_refused_total{limit="PENSTOCK_GATEWAY_MAX_PENDING",transport="ws"} 1',
  ]);
});

test('two rooms of a process count together', async () => {
  const registry = new Registry();
  openLimitRefusals(registry).count('PENSTOCK_GATEWAY_MAX_PENDING', 'ws');
  openLimitRefusals(registry).count('PENSTOCK_GATEWAY_MAX_PENDING', 'ws');
  const [line] = await lines(registry);
  assert.match(line ?? '', / 2$/);
});

test('each limit is a variable of the catalogue, or a setting of Kafka', () => {
  const variables = new Set(variablesOf(catalogue).map(({ name }) => name));
  const others = Object.keys(limitStatus).filter(limit => !variables.has(limit));
  assert.deepEqual(others, ['max.message.bytes']);
});

test('a refusal has the status of its limit, any other error that of its code', () => {
  assert.equal(httpStatusOf('LIMIT_EXCEEDED', { limit: 'PENSTOCK_GATEWAY_MAX_DEPTH' }), 400);
  assert.equal(httpStatusOf('LIMIT_EXCEEDED', { limit: 'PENSTOCK_GATEWAY_MAX_REQUEST_BYTES' }), 413);
  assert.equal(httpStatusOf('LIMIT_EXCEEDED', { limit: 'PENSTOCK_ROUTE_MAX_CONNECTIONS' }), 429);
  assert.equal(httpStatusOf('LIMIT_EXCEEDED', {}), 429);
  assert.equal(httpStatusOf('FORBIDDEN', undefined), 403);
});
