import type { ChaosResult } from './chaos.ts';
import { fields } from './evidence.ts';
import { tableOf } from './report.ts';

const width = 1_200;
const left = 60;
const height = 160;
const colours = ['#4e79a7', '#f28e2b', '#59a14f', '#e15759', '#b07aa1', '#76b7b2', '#edc948', '#9c755f'];

/** A page of its own with plots over the time of the run: deliveries a second, the longest gap in each, who owned what. */
export function htmlOf(result: ChaosResult, title: string): string {
  const { deliveries, gapsMs } = perSecond(result);
  const lastMs = deliveries.length * 1_000;
  return `<!doctype html><meta charset="utf-8"><title>${escaped(title)}</title>
<style>body{font:13px system-ui;margin:24px}svg{display:block;margin:4px 0 24px}pre{overflow:auto}text{font:10px system-ui}</style>
<h1>${escaped(title)}</h1>
<h2>Deliveries a second</h2>${plot(deliveries, lastMs, result)}
<h2>Longest time from append to arrival of the records appended in each second, ms</h2>${plot(gapsMs, lastMs, result)}
<h2>Owner of each partition</h2>${ownership(result, lastMs)}
<h2>Counts</h2><pre>${escaped(tableOf(result))}</pre>
`;
}

function perSecond({ recordings, truths }: ChaosResult): { deliveries: number[]; gapsMs: number[] } {
  const deliveries: number[] = [];
  const gapsMs: number[] = [];
  for (const { field, ids, arrivedMs, away } of recordings) {
    const truth = truths.get(fields[field].topic);
    const arrived = arrivedMs.view();
    for (const [index, id] of ids.view().entries()) {
      const at = arrived[index] ?? 0;
      const second = Math.floor(at / 1_000);
      deliveries[second] = (deliveries[second] ?? 0) + 1;
      const appendedMs = truth?.appendedMs[truth.rowsOf(id)[0] ?? -1];
      if (appendedMs === undefined || away.some(({ fromMs, toMs }) => at >= fromMs && appendedMs <= toMs)) continue;
      const then = Math.floor(appendedMs / 1_000);
      gapsMs[then] = Math.max(gapsMs[then] ?? 0, at - appendedMs);
    }
  }
  return { deliveries: dense(deliveries), gapsMs: dense(gapsMs) };
}

const dense = (values: readonly (number | undefined)[]): number[] => Array.from(values, value => value ?? 0);
const xOf = (ms: number, lastMs: number) => (left + (ms / Math.max(1, lastMs)) * (width - left)).toFixed(1);

function plot(values: readonly number[], lastMs: number, result: ChaosResult): string {
  const most = Math.max(1, ...values);
  const points = values
    .map((value, second) => `${xOf(second * 1_000, lastMs)},${(height - (value / most) * (height - 14)).toFixed(1)}`)
    .join(' ');
  return `<svg width="${width}" height="${height + 14}">${bands(result, lastMs, height)}
<polyline points="${points}" fill="none" stroke="${colours[0]}"/><text x="4" y="14">${most}</text><text x="4" y="${height}">0</text>${seconds(lastMs)}</svg>`;
}

/** Where faults were, named when one points at them. */
function bands({ spans }: ChaosResult, lastMs: number, tall: number): string {
  return spans
    .map(({ fault, fromMs, toMs }) => {
      const x = xOf(fromMs, lastMs);
      const wide = (Number(xOf(toMs, lastMs)) - Number(x)).toFixed(1);
      return `<rect x="${x}" y="0" width="${wide}" height="${tall}" fill="#f4c7c3" opacity=".5"><title>${fault}</title></rect>`;
    })
    .join('');
}

function seconds(lastMs: number): string {
  const stepMs = Math.max(10_000, Math.ceil(lastMs / 12 / 10_000) * 10_000);
  return Array.from({ length: Math.floor(lastMs / stepMs) + 1 }, (_, index) => index * stepMs)
    .map(ms => `<text x="${xOf(ms, lastMs)}" y="${height + 12}">${ms / 1_000} s</text>`)
    .join('');
}

function ownership(result: ChaosResult, lastMs: number): string {
  const { owners } = result;
  const addresses = [...new Set(owners.map(({ address }) => address))];
  const partitions = Math.max(0, ...owners.map(({ partition }) => partition + 1));
  const tall = partitions * 8;
  const bars = owners.map(({ atMs, partition, address }, index) => {
    const next = owners.find((later, place) => place > index && later.partition === partition);
    const [x, end] = [xOf(atMs, lastMs), xOf(next?.atMs ?? lastMs, lastMs)];
    const fill = colours[addresses.indexOf(address) % colours.length];
    return `<rect x="${x}" y="${partition * 8}" width="${(Number(end) - Number(x)).toFixed(1)}" height="7" fill="${fill}"><title>partition ${partition}: ${escaped(address)}</title></rect>`;
  });
  return `<svg width="${width}" height="${tall}">${bars.join('')}${bands(result, lastMs, tall)}</svg>`;
}

function escaped(text: string): string {
  return text.replaceAll('&', '&amp;').replaceAll('<', '&lt;');
}
