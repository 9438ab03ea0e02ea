import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { generated } from '../../monitoring/generate.ts';
import { alerts, groups } from '../../monitoring/rules/index.ts';
import { objectives, watching } from '../../monitoring/rules/service-levels.ts';
import type { Alert } from '../../monitoring/rules/types.ts';
import { rulesFile, rulesFor } from '../../monitoring/rules-file.ts';
import { tools, withoutPrometheus } from '../support/prometheus-tools.ts';
import { type AlertCase, cases } from './cases.ts';
import { type ExpectedAlert, type InputSeries, kubeSelector, type RuleTest, selector, testRules } from './promtool.ts';

const file = new URL('../../helm/penstock/files/rules.yaml', import.meta.url);
const rules = rulesFor(readFileSync(file, 'utf8'), selector, kubeSelector);
/** Without the service levels, which are most of the work. */
const otherRules = rulesFor(
  rulesFile(groups.filter(({ name }) => !name.startsWith('penstock.service-levels'))),
  selector,
  kubeSelector,
);
const names = [...new Set(alerts.map(({ name }) => name))];
const isLevel = (name: string) => objectives.some(objective => objective.alert === name);

function alertOf({ alert, severity, component }: AlertCase): Alert {
  const found = alerts.filter(
    ({ name, labels, ...one }) =>
      name === alert && (severity ?? one.severity) === one.severity && component === labels?.component,
  );
  const [only, ...more] = found;
  assert.ok(only !== undefined && more.length === 0, `one alert ${alert} ${severity ?? ''} ${component ?? ''}`);
  return only;
}

const check = (of: string, tests: readonly RuleTest[]) => assert.equal(testRules(of, tests), undefined);

test('what is generated is up to date', () => {
  for (const [path, text] of generated()) assert.equal(readFileSync(path, 'utf8'), text, 'run: npm run monitoring');
});

test('promtool finds nothing wrong with the rules', { skip: withoutPrometheus }, () => {
  const args = ['check', 'rules', '--lint=all', '--lint-fatal', fileURLToPath(file)];
  const { status, stdout, stderr } = spawnSync(tools?.promtool ?? '', args, { encoding: 'utf8' });
  assert.equal(status, 0, stdout + stderr);
});

test('each alert has a case', () => {
  const tried = cases.map(alertOf);
  assert.deepEqual(
    alerts.filter(alert => !isLevel(alert.name) && !tried.includes(alert)),
    [],
  );
});

test('each alert fires when it should', { skip: withoutPrometheus }, () => {
  check(
    otherRules,
    cases.map((one, index) => {
      const expected: ExpectedAlert[] = alertsOfSameFault(one).map(alert => ({ alert, labels: one.labels ?? {} }));
      // Of components that the case has no series of there are no metrics: that fires, too.
      const others = one.alert === 'PenstockMetricsAbsent' ? absentBut(undefined).map(alert => ({ alert })) : [];
      return {
        ...{ name: `${index} ${one.alert} fires`, interval: '1m', at: one.at, input: one.fires },
        expected: new Map([[one.alert, others.length > 0 ? others : expected]]),
      };
    }),
  );
});

test('each alert stays quiet when it should', { skip: withoutPrometheus }, () => {
  check(
    otherRules,
    cases.map((one, index) => {
      const others = one.alert === 'PenstockMetricsAbsent' ? absentBut(one.component).map(alert => ({ alert })) : [];
      return {
        ...{ name: `${index} ${one.alert} stays quiet`, interval: '1m', at: one.at, input: one.quiet },
        expected: new Map([[one.alert, others]]),
      };
    }),
  );
});

/** A certificate that ends within two days ends within fourteen as well. */
function alertsOfSameFault(one: AlertCase): Alert[] {
  const own = alertOf(one);
  if (one.alert === 'PenstockSigningKeyOverdue' && one.severity === 'critical') return sameName(one);
  return [own];
}

function sameName({ alert }: AlertCase): Alert[] {
  return alerts.filter(({ name }) => name === alert);
}

function absentBut(component: string | undefined): Alert[] {
  return alerts.filter(({ name, labels }) => name === 'PenstockMetricsAbsent' && labels?.component !== component);
}

test('without traffic, and with nothing to tell, no alert fires', { skip: withoutPrometheus }, () => {
  const quiet = new Map(names.map(name => [name, []] as const));
  const idle = idleSeries();
  const fresh = idle.filter(({ series }) => !series.includes('{')); // no labelled series has been counted yet
  check(
    rules,
    [idle, fresh].map((input, index) => ({
      ...{ name: `no traffic ${index}`, interval: '1m', at: '4h', expected: quiet, input },
    })),
  );
});

/** The series of a deployment in which nothing happens, with each label that the rules know once. */
function idleSeries(): InputSeries[] {
  const counters = [
    ...['penstock_replay_fenced_total', 'penstock_replay_expired_total', 'penstock_gateway_slow_closed_total'],
    ...['penstock_gateway_delivery_seconds_count', 'penstock_projector_fenced_total'],
    'penstock_gateway_delivery_seconds_bucket{le="0.5"}',
    'penstock_gateway_command_seconds_count{outcome="answered"}',
    'penstock_gateway_command_seconds_bucket{outcome="answered",le="1"}',
    'penstock_replay_resumed_total{tier="kafka"}',
    'penstock_replay_resumed_total{tier="memory"}',
    'penstock_router_routed_total{outcome="no_owner"}',
    'penstock_limit_refused_total{limit="PENSTOCK_GATEWAY_MAX_DEPTH",transport="ws"}',
    'penstock_watchdog_restarts_total{component="gateway"}',
  ];
  const gauges = [
    ...['penstock_router_waiting_upgrades', 'penstock_router_connections', 'penstock_outbox_records'],
    ...['penstock_outbox_oldest_seconds', 'penstock_outbox_unacknowledged_records'],
    'penstock_consumer_lag_seconds{component="gateway",topic="commands"}',
    'penstock_kafka_open_transaction_seconds{topic="commands"}',
    'penstock_not_ready{component="gateway",reason="start"}',
    'penstock_handler_partitions_stopped{reason="ledger_went_back"}',
  ];
  const at = (series: string, values: string) => ({ series, values });
  return [
    ...counters.map(series => at(series, '1000x360')),
    ...gauges.map(series => at(series, '0x360')),
    at('penstock_ownership_partitions', '24x360'),
    at('penstock_gateway_partitions_owned', '24x360'),
    at('penstock_tls_certificate_expiry_timestamp_seconds{variable="PENSTOCK_KAFKA_TLS_CA_FILE"}', '9000000x360'),
    at('penstock_auth_signing_key_rotation_timestamp_seconds{use="route"}', '604800x360'),
    at('penstock_auth_signing_key_expiry_timestamp_seconds{use="route"}', '608400x360'),
    at('kube_horizontalpodautoscaler_status_desired_replicas{horizontalpodautoscaler="a"}', '2x360'),
    at('kube_horizontalpodautoscaler_spec_max_replicas{horizontalpodautoscaler="a"}', '8x360'),
    at('kube_horizontalpodautoscaler_spec_min_replicas{horizontalpodautoscaler="a"}', '2x360'),
  ];
}

/** Series of so many events a minute, of which so many are not good. */
const eventsOf: Readonly<Record<string, (events: number, errors: number) => InputSeries[]>> = {
  delivery: (events, errors) => [
    { series: 'penstock_gateway_delivery_seconds_count', values: `0+${events}x400` },
    { series: 'penstock_gateway_delivery_seconds_bucket{le="0.5"}', values: `0+${events - errors}x400` },
  ],
  commands: (events, errors) => [
    { series: 'penstock_gateway_command_seconds_count{outcome="answered"}', values: `0+${events - errors}x400` },
    { series: 'penstock_gateway_command_seconds_count{outcome="pending"}', values: `0+${errors}x400` },
    { series: 'penstock_gateway_command_seconds_count{outcome="abandoned"}', values: `0+${events}x400` },
    {
      series: 'penstock_gateway_command_seconds_bucket{outcome="answered",le="1"}',
      values: `0+${events - errors}x400`,
    },
    { series: 'penstock_gateway_command_seconds_bucket{outcome="pending",le="1"}', values: '0x400' },
  ],
  resume: (events, errors) => [
    { series: 'penstock_replay_resumed_total{tier="memory"}', values: `0+${events - errors}x400` },
    { series: 'penstock_replay_expired_total', values: `0+${errors}x400` },
  ],
};

/** Burn rates, when they are looked at, and the long windows of the alerts that fire by then. */
const burns: readonly { burn: number; at: string; fires: readonly string[] }[] = [
  { burn: 20, at: '30m', fires: ['1h', '6h'] },
  { burn: 8, at: '30m', fires: ['6h'] },
  { burn: 4, at: '2h', fires: ['1d'] },
  { burn: 1.5, at: '4h', fires: ['3d'] },
  { burn: 0.8, at: '6h', fires: [] },
];

for (const objective of objectives) {
  const { slo, alert, target } = objective;
  test(`the error budget of ${slo} burns: fast, slowly, and no faster than allowed`, {
    skip: withoutPrometheus,
  }, () => {
    const events = 10_000;
    const series = eventsOf[slo];
    assert.ok(series !== undefined);
    const of = (windows: readonly string[]) =>
      alerts.filter(({ name, labels }) => name === alert && windows.includes(labels?.long_window ?? ''));
    const expect = (windows: readonly string[]) =>
      new Map([[alert, of(windows).map(one => ({ alert: one, labels: { slo } }))]]);
    const few = { name: `${slo}: a few errors are no alert`, interval: '1m', at: '30m', expected: expect([]) };
    check(rulesFor(rulesFile(watching([objective])), selector, kubeSelector), [
      ...burns.map(({ burn, at, fires }) => ({
        ...{ name: `${slo}: ${burn} times`, interval: '1m', at, expected: expect(fires) },
        input: series(events, Math.round(events * (1 - target) * burn)),
      })),
      { ...few, input: series(0.1, 0.1) },
    ]);
  });
}
