import type { Stretch } from './load/load.ts';

/** A row of the report: one step, and what clients saw of it. */
export interface Row {
  name: string;
  planned: boolean;
  /** From its beginning to the cluster being whole again. */
  seconds: number;
  stretch: Stretch;
  remark: string;
  /** Why it did not do what it is for. */
  failure: string | undefined;
  /** Of all cores of the machine: by everybody, and by the node alone; parts of 1. */
  busy: number;
  node: number;
}

export const percent = (part: number) => `${Math.round(part * 100)} %`;

/** What a planned change may cost a stream on a machine of two cores, ms, p99 over the streams. */
export const gapBoundMs = 1_000;

export function isSound({ failure, stretch: { counts, failed }, planned }: Row): boolean {
  const wrong = counts.lost + counts.twice + counts.outOfOrder + counts.foreign;
  return failure === undefined && wrong === 0 && (!planned || failed.length === 0);
}

export function tableOf(rows: readonly Row[]): string {
  return [
    '| what is done | s | lost | twice | out of order | longest gap p50 / p99 / max, ms | requests | failed | cores busy, by the node | remark |',
    '|---|---|---|---|---|---|---|---|---|---|',
    ...rows.map(rowOf),
  ].join('\n');
}

function rowOf({
  name,
  seconds,
  stretch: { counts, gaps, requests, failed },
  remark,
  failure,
  busy,
  node,
}: Row): string {
  const cells = [
    name,
    seconds.toFixed(0),
    ...[counts.lost, counts.twice, counts.outOfOrder],
    `${gaps.p50} / ${gaps.p99} / ${gaps.max}`,
    ...[requests, failed.length],
    `${percent(busy)}, ${percent(node)}`,
    failure === undefined ? remark : `**FAILED**: ${failure.slice(0, 200)}`,
  ];
  return `| ${cells.map(cell => String(cell).replaceAll('|', '\\|').replaceAll('\n', ' ')).join(' | ')} |`;
}

/** How requests failed, most frequent first. */
export function reasonsOf({ stretch: { failed } }: Row): string[] {
  const counts = new Map<string, number>();
  for (const { kind, why } of failed) counts.set(`${kind}: ${why}`, (counts.get(`${kind}: ${why}`) ?? 0) + 1);
  return [...counts].sort((a, b) => b[1] - a[1]).map(([reason, count]) => `${count} × ${reason}`);
}
