// runs apart: it starts a stack of its own, so that no other test's clients are in its metrics
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { dashboards } from '../../monitoring/dashboards/index.ts';
import { groups } from '../../monitoring/rules/index.ts';
import { rulesFile, rulesFor } from '../../monitoring/rules-file.ts';
import { type Prometheus, startPrometheus } from '../support/prometheus.ts';
import { withoutPrometheus } from '../support/prometheus-tools.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { until } from '../support/until.ts';
import { grownWithUsers, seriesOf } from './cardinality.ts';
import { audit, beAClient, beRefused, comeBack, emptyRedis, killGateways, writePoison } from './drive.ts';
import { metricOf, selectorsOf } from './promql.ts';

const job = 'stack/penstock';
const selector = `namespace="stack",job="${job}"`;
/** The only metrics that are not Penstock's own; kube-state-metrics has them. */
const ofKubernetes = [
  'kube_horizontalpodautoscaler_spec_max_replicas',
  'kube_horizontalpodautoscaler_spec_min_replicas',
  'kube_horizontalpodautoscaler_status_desired_replicas',
];

let stack: Stack;
let prometheus: Prometheus;
let auditor: Awaited<ReturnType<typeof audit>>;

before(async () => {
  if (withoutPrometheus !== false) return;
  stack = await startStack({ gateways: 2, partitions: 6, tls: true });
  const targets = stack.processes().map(({ name, service, admin }) => ({
    address: new URL(admin).host,
    labels: { namespace: 'stack', component: service, pod: name },
  }));
  prometheus = await startPrometheus(job, targets, rulesFor(rulesFile(groups), selector, 'namespace="stack"'));
  auditor = await audit(stack);
  const cursor = await beAClient(stack, 'alice');
  // It is scraped before the gateways that have counted it die.
  await untilAllHaveResults([resumesFrom('memory')]);
  await killGateways(stack);
  await comeBack(stack, 'alice', cursor);
  await emptyRedis(stack);
  await comeBack(stack, 'alice', cursor);
  await untilAllHaveResults([resumesFrom('redis'), resumesFrom('kafka')]);
  await writePoison(stack);
  await beRefused(stack, 'refused');
  await beAClient(stack, 'bob');
});

after(async () => {
  await auditor?.close();
  await prometheus?.close();
  await stack?.stop();
});

const resumesFrom = (tier: string) => `sum(penstock_replay_resumed_total{${selector},tier="${tier}"}) > 0`;

/** Resolves when none of the expressions has an empty result; each is asked again until then. */
async function untilAllHaveResults(expressions: readonly string[]): Promise<void> {
  let empty = expressions;
  await until(
    () => `a result of each of:\n${empty.join('\n')}`,
    async () => {
      const results = await Promise.all(
        empty.map(async one => ((await prometheus.query(one)).length > 0 ? [] : [one])),
      );
      empty = results.flat();
      return empty.length === 0;
    },
    40_000,
    500,
  );
}

const needsKubernetes = (expression: string) =>
  selectorsOf(expression).some(one => ofKubernetes.includes(metricOf(one)));

/** What Grafana puts in place of its variables. */
function inGrafana(expression: string): string {
  const values = { cluster: '.*', namespace: 'stack', job, __rate_interval: '15s' };
  return expression.replace(/\$(\w+)/g, (_, name: string) => values[name as keyof typeof values] ?? `$${name}`);
}

test('each query of each dashboard has a result', { skip: withoutPrometheus }, async () => {
  const panels = dashboards.flatMap(({ rows }) => rows.flatMap(row => row.panels));
  const expressions = panels.flatMap(({ queries }) => queries.map(({ expression }) => inGrafana(expression)));
  const unknown = expressions.filter(expression => expression.includes('$'));
  assert.deepEqual(unknown, [], 'variables that no dashboard has');
  for (const { queries, title, kubernetes = false } of panels) {
    for (const { expression } of queries) assert.equal(needsKubernetes(inGrafana(expression)), kubernetes, title);
  }
  await untilAllHaveResults([...new Set(expressions.filter(expression => !needsKubernetes(expression)))]);
});

test('each selector of each rule finds series, and Prometheus takes each expression', {
  skip: withoutPrometheus,
}, async () => {
  const rules = groups.flatMap(({ alerts = [], recordings = [] }) => [...alerts, ...recordings]);
  const expressions = rules.map(({ expression }) => rulesFor(expression, selector, 'namespace="stack"'));
  for (const expression of expressions) await prometheus.query(expression);
  const selectors = expressions.flatMap(selectorsOf).filter(one => !ofKubernetes.includes(metricOf(one)));
  await untilAllHaveResults([...new Set(selectors)]);
});

test('no alert fires in a stack that is well', {
  skip: withoutPrometheus,
}, async () => {
  const firing = await prometheus.query('ALERTS{alertstate="firing"}');
  assert.deepEqual(
    firing.map(({ metric }) => metric.alertname),
    [],
  );
});

test('metrics that the documents name exist', { skip: withoutPrometheus }, async () => {
  const root = join(import.meta.dirname, '../..');
  const names = new Set<string>();
  for (const file of globSync('docs/{runbooks/*,operations}.md', { cwd: root })) {
    const text = readFileSync(join(root, file), 'utf8');
    for (const [name] of text.matchAll(
      /\bpenstock_[a-z_]+_(?:total|seconds|records|partitions|bytes|connections|upgrades|owned)\b/g,
    ))
      names.add(name);
  }
  assert.ok(names.size > 20);
  /** Those that begin to exist with their first event, which is not made to happen here, or with a setting. */
  const rare = [
    ...['penstock_kafka_unreadable_batches_total', 'penstock_kafka_skipped_batches_total'],
    ...['penstock_handler_truncated_total', 'penstock_projector_dead_letters_skipped_total'],
    // Of a stack that sends traces (test/e2e/traces.test.ts).
    ...['penstock_traces_dropped_total', 'penstock_traces_exported_total'],
  ];
  const missing: string[] = [];
  for (const name of names) {
    const forms = rare.includes(name) ? [] : [name, `${name}_count`];
    const found = await Promise.all(forms.map(form => prometheus.query(form)));
    if (forms.length > 0 && !found.some(samples => samples.length > 0)) missing.push(name);
  }
  assert.deepEqual(missing, []);
});

test('no metric grows with the users', { skip: withoutPrometheus }, async () => {
  const users = Array.from({ length: 16 }, (_, index) => `crowd-${index}`);
  const scrape = () =>
    Promise.all(stack.processes().map(async ({ admin }) => (await fetch(`${admin}/metrics`)).text()));
  const before = seriesOf(await scrape());
  const many = users.length;
  while (users.length > 0) await Promise.all(users.splice(0, 6).map(name => beAClient(stack, name)));
  const texts = await scrape();
  assert.deepEqual(grownWithUsers(before, seriesOf(texts), many), []);
  for (const text of texts) assert.doesNotMatch(text, /crowd-\d|alice|bob|NL\d\dPENS/, 'a user is in the metrics');
});
