import { type Alert, by, type Group, type Recording, type Runbook, type Severity, series } from './types.ts';

/** A service-level objective: which share of events has to be good over 30 days. */
export interface Objective {
  /** The label `slo`. */
  slo: string;
  alert: Alert['name'];
  /** Share of good events, such as 0.995. */
  target: number;
  /** Events that count, per second over a window, as PromQL. */
  events(window: string): string;
  /** Those of them that are not good. */
  errors(window: string): string;
  summary: string;
  description: string;
  dashboard: Alert['dashboard'];
}

const rate = (metric: string, window: string, matchers = ''): string =>
  `sum ${by} (rate(${series(metric, matchers)}[${window}]))`;

export const objectives: readonly Objective[] = [
  {
    slo: 'delivery',
    alert: 'PenstockDeliverySlow',
    target: 0.995,
    events: window => rate('penstock_gateway_delivery_seconds_count', window),
    errors: window =>
      `(${rate('penstock_gateway_delivery_seconds_count', window)} - ${rate('penstock_gateway_delivery_seconds_bucket', window, 'le="0.5"')})`,
    summary: 'Too many records take longer than 0.5 s from their append to the socket.',
    description:
      'Delivery latency uses up its error budget (0.5 % of records over 30 days may take longer than 0.5 s).',
    dashboard: 'overview',
  },
  {
    slo: 'commands',
    alert: 'PenstockCommandsSlow',
    target: 0.995,
    events: window => rate('penstock_gateway_command_seconds_count', window, 'outcome!="abandoned"'),
    errors: window =>
      `(${rate('penstock_gateway_command_seconds_count', window, 'outcome!="abandoned"')} - ${rate('penstock_gateway_command_seconds_bucket', window, 'outcome="answered",le="1"')})`,
    summary: 'Too many commands get no feedback within 1 s.',
    description: 'Command latency uses up its error budget (0.5 % of commands over 30 days may take longer than 1 s).',
    dashboard: 'commands',
  },
  {
    slo: 'resume',
    alert: 'PenstockResumesFail',
    target: 0.999,
    events: window =>
      `(${rate('penstock_replay_resumed_total', window)} + ${rate('penstock_replay_expired_total', window)})`,
    errors: window => rate('penstock_replay_expired_total', window),
    summary: 'Too many clients come back with a cursor that has expired.',
    description: 'Resume success uses up its error budget (0.1 % of resumes over 30 days may end in CURSOR_EXPIRED).',
    dashboard: 'replay',
  },
];

interface BurnRate {
  severity: Severity;
  long: string;
  short: string;
  /** How many times faster than allowed the budget is used up. */
  factor: number;
  for: string;
}

/** The windows and burn rates are those of Google's Site Reliability Workbook, chapter 5, for a budget of 30 days. */
const burnRates: readonly BurnRate[] = [
  { severity: 'critical', long: '1h', short: '5m', factor: 14.4, for: '2m' },
  { severity: 'critical', long: '6h', short: '30m', factor: 6, for: '15m' },
  { severity: 'warning', long: '1d', short: '2h', factor: 3, for: '1h' },
  { severity: 'warning', long: '3d', short: '6h', factor: 1, for: '3h' },
];

const seconds: Readonly<Record<string, number>> = { '1h': 3_600, '6h': 21_600, '1d': 86_400, '3d': 259_200 };
const windows = ['5m', '30m', '1h', '2h', '6h', '1d', '3d'];

/** So few bad events in the long window fire no alert: where hardly anybody is there, one of them is a large share. */
const fewestErrors = 10;

const runbook: Runbook = 'service-levels';

export const ratioOf = (window: string): string => `penstock:slo_errors:ratio_rate${window}`;
const eventsOf = (window: string): string => `penstock:slo_events:rate${window}`;

function recordingsOf({ slo, events, errors }: Objective): Recording[] {
  const labels = { slo };
  const ratios = windows.map(window => ({
    record: ratioOf(window),
    expression: `${errors(window)} / ${events(window)}`,
    labels,
  }));
  const counts = Object.keys(seconds).map(window => ({ record: eventsOf(window), expression: events(window), labels }));
  return [...ratios, ...counts];
}

function alertsOf(objective: Objective): Alert[] {
  const { slo, alert, target, summary, description, dashboard } = objective;
  const of = (record: string) => series(record, `slo="${slo}"`);
  return burnRates.map(({ severity, long, short, factor, for: pending }) => {
    const threshold = `${factor} * ${round(1 - target)}`;
    return {
      name: alert,
      expression: [
        `${of(ratioOf(long))} > ${threshold}`,
        `and ${of(ratioOf(short))} > ${threshold}`,
        `and ${of(ratioOf(long))} * ${of(eventsOf(long))} * ${seconds[long]} >= ${fewestErrors}`,
      ].join('\n'),
      for: pending,
      severity,
      labels: { long_window: long },
      summary,
      description: `${description} Burn rate over ${long} and over ${short}: at least ${factor}.`,
      runbook,
      dashboard,
    };
  });
}

function round(value: number): number {
  return Number(value.toFixed(6));
}

/** Returns the rules that watch these objectives. */
export function watching(watched: readonly Objective[]): Group[] {
  return [
    { name: 'penstock.service-levels.recordings', recordings: watched.flatMap(recordingsOf) },
    { name: 'penstock.service-levels', alerts: watched.flatMap(alertsOf) },
  ];
}
