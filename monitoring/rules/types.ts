/** The selectors that the chart replaces when it renders the rules: which series are this release's. */
export const own = 'penstock="selector"';
/** The same for the series of kube-state-metrics, which know the namespace alone. */
export const ofNamespace = 'kube="selector"';

/** By these labels everything is aggregated: without them the rules of two releases would write the same series. */
export const by = 'by (namespace, job)';

export type Severity =
  /** Somebody has to look at once: clients notice it, or will within the hour. */
  | 'critical'
  /** Somebody has to look on the next working day. */
  | 'warning';

/** A file of docs/runbooks, without `.md`. */
export type Runbook =
  | 'service-levels'
  | 'ownership'
  | 'replay'
  | 'consumers'
  | 'commands'
  | 'routing'
  | 'secrets'
  | 'processes';

/** A file of monitoring/dashboards: the uid is `penstock-` and this name. */
export type DashboardName = 'overview' | 'ownership' | 'replay' | 'commands' | 'scaling';

export interface Alert {
  name: `Penstock${string}`;
  expression: string;
  /** How long the expression holds before the alert fires, such as `5m`. */
  for: string;
  severity: Severity;
  /** Further labels. Alerts of one name differ by their labels. */
  labels?: Readonly<Record<string, string>>;
  /** One line without a value; `{{ $labels.x }}` stands for a label. */
  summary: string;
  description: string;
  runbook: Runbook;
  dashboard: DashboardName;
}

export interface Recording {
  record: string;
  expression: string;
  labels: Readonly<Record<string, string>>;
}

/** A group of rules. The chart leaves out the groups of components that are not installed, by these names. */
export interface Group {
  name: string;
  recordings?: readonly Recording[];
  alerts?: readonly Alert[];
}

/** A metric's series that belong to this release. */
export function series(metric: string, matchers = ''): string {
  return `${metric}{${own}${matchers === '' ? '' : `,${matchers}`}}`;
}
