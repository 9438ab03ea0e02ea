import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import type { Alert } from '../../monitoring/rules/types.ts';
import { annotationsOf } from '../../monitoring/rules-file.ts';
import { tools } from '../support/prometheus-tools.ts';

/** Labels that every series of a release has, as the PodMonitor gives them. */
export const release = { namespace: 'prod', job: 'prod/penstock' };
export const selector = 'namespace="prod",job="prod/penstock"';
export const kubeSelector = 'namespace="prod"';

/** A series: its name and labels without those of the release, and its values in promtool's notation. */
export interface InputSeries {
  series: string;
  values: string;
}

export interface ExpectedAlert {
  alert: Alert;
  /** Labels that come from the series, without those of the release. */
  labels?: Readonly<Record<string, string>>;
}

/** One of promtool's tests: what fires at a time, by alert name; an alert name with an empty list must stay quiet. */
export interface RuleTest {
  name: string;
  input: readonly InputSeries[];
  /** Time between two values, such as `1m`. */
  interval: string;
  at: string;
  expected: ReadonlyMap<Alert['name'], readonly ExpectedAlert[]>;
}

/** Returns a series with the labels of the release. */
function withRelease(series: string): string {
  const [, name = '', labels = ''] = /^([^{]+)(?:\{(.*)\})?$/.exec(series) ?? [];
  const own = name.startsWith('kube_') ? kubeSelector : selector;
  return `${name}{${[own, labels].filter(text => text !== '').join(',')}}`;
}

function expectationOf({ alert, labels = {} }: ExpectedAlert) {
  const all: Record<string, string> = { ...release, ...labels, severity: alert.severity, ...alert.labels };
  if (alert.name === 'PenstockAutoscalerAtMaximum') delete all.job;
  const filled = (text: string) => text.replace(/\{\{ \$labels\.(\w+) \}\}/g, (_, name: string) => all[name] ?? '');
  const annotations = Object.entries(annotationsOf(alert)).map(([name, text]) => [name, filled(text)] as const);
  return { exp_labels: all, exp_annotations: Object.fromEntries(annotations) };
}

/** Runs tests by `promtool test rules`. Returns what it says when one fails; undefined: all hold. */
export function testRules(rules: string, tests: readonly RuleTest[]): string | undefined {
  const folder = mkdtempSync(join(tmpdir(), 'penstock-rules-'));
  try {
    writeFileSync(join(folder, 'rules.yaml'), rules);
    const content = {
      rule_files: ['rules.yaml'],
      evaluation_interval: '1m',
      tests: tests.map(({ name, input, interval, at, expected }) => ({
        name,
        interval,
        input_series: input.map(({ series, values }) => ({ series: withRelease(series), values })),
        alert_rule_test: [...expected].map(([alertname, alerts]) => ({
          eval_time: at,
          alertname,
          exp_alerts: alerts.map(expectationOf),
        })),
      })),
    };
    writeFileSync(join(folder, 'tests.yaml'), stringify(content, { aliasDuplicateObjects: false, lineWidth: 0 }));
    const { status, stdout, stderr } = spawnSync(tools?.promtool ?? '', ['test', 'rules', 'tests.yaml'], {
      cwd: folder,
      encoding: 'utf8',
    });
    return status === 0 ? undefined : `${stdout}${stderr}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}
