/**
 * Runs inside the node's network namespace, started by run.ts: installs the chart, takes every step while clients listen, and
 * says what they saw. Exit code 1 when anything is not as it must be.
 */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openCluster } from './cluster.ts';
import { measureProcessor } from './load/processor.ts';
import { dns } from './objects/dns.ts';
import { type RunReport, writeReport } from './report.ts';
import { openStage, type Stage } from './stage.ts';
import { allSteps, upgradeFromOld } from './steps/index.ts';
import type { Step } from './steps/types.ts';
import { gapBoundMs, isSound, percent, type Row, reasonsOf, tableOf } from './table.ts';

const { values } = parseArgs({
  options: {
    folder: { type: 'string', default: '' },
    chart: { type: 'string', default: '' },
    clients: { type: 'string', default: '300' },
    seed: { type: 'string', default: '1' },
    steps: { type: 'string' },
    report: { type: 'string' },
  },
});
const print = (line: string) => void process.stdout.write(`${line}\n`);
/** What is appended so long after a step is still its own: clients may be moving. */
const aftermathMs = 3_000;

const cluster = openCluster(values.folder);
await cluster.apply(dns());
await cluster.kubectl('wait', '-n', 'kube-system', '--for=condition=Available', 'deployment/coredns', '--timeout=120s');
print('the name server answers');
const report: RunReport = {
  clients: Number(values.clients),
  seed: Number(values.seed),
  rows: [],
  ends: [],
  endings: [],
};
const parts = values.steps?.split(',');
const chosen = (steps: readonly Step[]) => steps.filter(({ name }) => parts?.some(part => name.includes(part)) ?? true);
await act('1', chosen(allSteps));
if (existsSync(join(values.folder, 'images/penstock-old.tar'))) await act('old', chosen([upgradeFromOld]));

print(tableOf(report.rows));
const ok = report.rows.every(isSound) && report.endings.length === 0 && report.ends.every(isWhole);
for (const row of report.rows) for (const reason of reasonsOf(row)) print(`${row.name}: ${reason}`);
for (const end of report.ends) print(`a whole run: ${JSON.stringify(end)}`);
for (const ending of report.endings.slice(0, 20)) print(`ended: ${ending}`);
if (values.report !== undefined) await writeReport(values.report, report);
print(ok ? 'all is well' : 'NOT all is well');
process.exit(ok ? 0 : 1);

/** Installs the chart with an image, takes the steps, checks the whole, and takes everything away again. */
async function act(tag: string, steps: readonly Step[]): Promise<void> {
  if (steps.length === 0) return;
  const seed = report.seed + report.ends.length;
  const stage = await openStage({
    ...{ cluster, print, folder: values.folder, chart: values.chart },
    ...{ tag, clients: report.clients, seed },
  });
  for (const step of steps) report.rows.push(await take(stage, step));
  print('the steps are done: the whole run is checked');
  report.ends.push(await stage.load.finish());
  report.endings.push(...stage.load.endings());
  await stage.close();
}

function isWhole({ counts: { lost, twice, outOfOrder, foreign }, commandFaults }: RunReport['ends'][number]): boolean {
  return [lost, twice, outOfOrder, foreign, ...Object.values(commandFaults)].every(count => count === 0);
}

async function take(stage: Stage, step: Step): Promise<Row> {
  const { diary } = stage.load;
  const note = (line: string) => diary.note('run', line);
  await sleep(2_000);
  const fromMs = diary.now();
  const processor = measureProcessor(values.folder);
  note(`${step.name} begins`);
  let failure: string | undefined;
  let remark = '';
  try {
    remark = await step.run(stage);
  } catch (error) {
    failure = error instanceof Error ? error.message : String(error);
  }
  const wholeMs = diary.now();
  const { busy, node } = processor();
  await sleep(aftermathMs);
  const stretch = await stage.load.judge(fromMs, diary.now());
  const { counts, gaps, requests, failed } = stretch;
  const { name, planned } = step;
  const row: Row = { name, planned, seconds: (wholeMs - fromMs) / 1_000, stretch, remark, failure, busy, node };
  note(`${name} ${failure === undefined ? `is done in ${row.seconds.toFixed(1)} s` : `FAILED: ${failure}`}`);
  note(
    `  lost ${counts.lost}, twice ${counts.twice}, out of order ${counts.outOfOrder}; longest gap p50 ${gaps.p50}, ` +
      `p99 ${gaps.p99}, max ${gaps.max} ms; ${failed.length} of ${requests} requests failed; ` +
      `cores ${percent(busy)} busy, ${percent(node)} by the node`,
  );
  for (const reason of reasonsOf(row)) note(`  ${reason}`);
  if (planned && gaps.p99 > gapBoundMs) for (const line of stretch.profile) note(`  ${line}`);
  return row;
}
