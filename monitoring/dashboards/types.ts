/** One line or area of a panel. */
export interface Query {
  /** PromQL, with Grafana's variables. */
  expression: string;
  /** Such as `{{pod}}`. */
  legend: string;
}

/** Units of Grafana. */
export type Unit = 'short' | 's' | 'bytes' | 'Bps' | 'ops' | 'percentunit' | 'dateTimeFromNow' | 'none';

export interface Panel {
  title: string;
  /** What a reader has to know to judge it. */
  description: string;
  unit: Unit;
  queries: readonly Query[];
  stacked?: true;
  /** Shows the newest value alone. */
  single?: true;
  /** Its series come from kube-state-metrics. */
  kubernetes?: true;
}

export interface Row {
  title: string;
  panels: readonly Panel[];
}

export interface Dashboard {
  /** The uid is `penstock-` and this name. */
  name: string;
  title: string;
  description: string;
  rows: readonly Row[];
}

const chosen = 'cluster=~"$cluster",namespace="$namespace",job="$job"';

/** A metric's series of the release that is chosen. */
export function of(metric: string, matchers = ''): string {
  return `${metric}{${chosen}${matchers === '' ? '' : `,${matchers}`}}`;
}

/** Per second, over the interval that fits the panel and the scrapes. */
export function rate(metric: string, matchers = ''): string {
  return `rate(${of(metric, matchers)}[$__rate_interval])`;
}

/** Lines of two quantiles of a histogram. */
export function quantiles(histogram: string, matchers = ''): Query[] {
  return [0.5, 0.99].map(quantile => ({
    expression: `histogram_quantile(${quantile}, sum by (le) (${rate(`${histogram}_bucket`, matchers)}))`,
    legend: `p${quantile * 100}`,
  }));
}

/** A line for each value of a label. */
export function each(label: string, expression: string): Query[] {
  return [{ expression: `sum by (${label}) (${expression})`, legend: `{{${label}}}` }];
}

/** One line. */
export function one(legend: string, expression: string): Query {
  return { expression, legend };
}
