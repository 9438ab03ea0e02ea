import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { availableParallelism, release, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { promisify } from 'node:util';
import type { End } from './load/load.ts';
import { gapBoundMs, type Row, reasonsOf, tableOf } from './table.ts';

const run = promisify(execFile);

export interface RunReport {
  clients: number;
  seed: number;
  rows: Row[];
  /** One of each installation. */
  ends: End[];
  /** Streams that ended with an error. */
  endings: string[];
}

/** Writes what a run has seen, as Markdown. */
export async function writeReport(file: string, report: RunReport): Promise<void> {
  const { stdout: commit } = await run('git', ['describe', '--always', '--dirty'], { cwd: import.meta.dirname });
  const memory = Math.round(totalmem() / 2 ** 30);
  const failed = report.rows.flatMap(row => reasonsOf(row).map(reason => `- ${row.name}: ${reason}`));
  const slow = report.rows.filter(({ planned, stretch }) => planned && stretch.gaps.p99 > gapBoundMs);
  const lines = [
    '<!-- Written by `npm run test:cluster -- --report docs/reports/cluster.md`. -->',
    '# The chart on a real cluster',
    '',
    `Commit ${commit.trim()}, ${new Date().toISOString().slice(0, 10)}. One Kubernetes node with ${availableParallelism()} cores and ${memory} GiB (Linux ${release()}), on`,
    'which the three brokers, Redis, PostgreSQL, the services, the clients and the checker run together. What each column means',
    'and how the cluster is made stands in [test/cluster/README.md](../../test/cluster/README.md).',
    '',
    `${report.clients} clients, 60 ticks, 10 transfers and 10 queries a second; seed ${report.seed}.`,
    '',
    tableOf(report.rows),
    '',
    ...report.ends.map(sentenceOf),
    ...(report.endings.length > 0 ? ['', `${report.endings.length} streams ended with an error.`] : []),
    ...(failed.length > 0 ? ['', '## Requests that failed', '', ...failed] : []),
    ...(slow.length > 0 ? ['', `## What held streams for longer than ${gapBoundMs} ms in planned changes`] : []),
    ...slow.flatMap(({ name, stretch }) => ['', `${name}:`, '', ...stretch.profile.map(line => `- ${line}`)]),
    '',
  ];
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, lines.join('\n'));
}

function sentenceOf({ counts, commands, records, streams, commandFaults }: End): string {
  const faults = Object.values(commandFaults).reduce((sum, count) => sum + Math.abs(count), 0);
  return (
    `- In all ${counts.deliveries} deliveries of ${records} records to ${streams} streams, ${commands} commands: lost ${counts.lost}, ` +
    `twice ${counts.twice}, out of order ${counts.outOfOrder}, foreign ${counts.foreign}, faults of commands ${faults}.`
  );
}
