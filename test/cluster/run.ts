/**
 * `npm run test:cluster -- [--clients 300] [--seed 7] [--steps part-of-a-name,…] [--chart helm/penstock] [--report FILE.md] [--keep-logs]`: a real
 * Kubernetes node on this machine, three brokers, Redis and PostgreSQL in it, and the chart; see test/cluster/README.md.
 * With `--first-steps` it gives the commands of docs/kubernetes.md's first section instead, as they stand there.
 * Exit code 1 when anything is not as it must be. Everything that it starts ends with it.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { root } from '../../dev/stack/options.ts';
import { writeNamedImage, writePenstockImages, writeServerImages } from './images/images.ts';
import { hasOldCommit, writeOldImage } from './images/old.ts';
import { nodeProblem, nodePrograms } from './node/binaries.ts';
import { type ClusterNode, startNode } from './node/node.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '300' },
    seed: { type: 'string', default: String(Math.floor(Math.random() * 1_000_000)) },
    steps: { type: 'string' },
    report: { type: 'string' },
    'first-steps': { type: 'boolean', default: false },
    chart: { type: 'string', default: join(root, 'helm/penstock') },
    'keep-logs': { type: 'boolean', default: false },
  },
});
const startMs = performance.now();
const print = (line: string) => {
  process.stdout.write(`${((performance.now() - startMs) / 1_000).toFixed(0).padStart(5)} s  ${line}\n`);
};

const folder = join(root, '.penstock-cluster');
const stopping = new AbortController();
let driver: ChildProcess | undefined;
let node: ClusterNode | undefined;
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(name, () => {
    stopping.abort();
    endDriver();
  });
}

const problem = nodeProblem();
if (problem !== undefined) {
  process.stderr.write(`${problem}\n`);
  process.exit(1);
}
let code = 1;
try {
  code = await main();
} catch (error) {
  if (!stopping.signal.aborted) print(`FAILED: ${error instanceof Error ? (error.stack ?? error.message) : error}`);
} finally {
  await node?.stop();
  if (code === 0 || !values['keep-logs']) rmSync(folder, { recursive: true, force: true });
  print('everything is cleaned up');
}
process.exit(code);

async function main(): Promise<number> {
  rmSync(folder, { recursive: true, force: true });
  const work = join(folder, 'work');
  const images = join(folder, 'images');
  mkdirSync(work, { recursive: true });
  const { signal } = stopping;
  const programs = await nodePrograms(print);
  print(`the programs of the node are there: ${programs}`);
  await writeServerImages({ to: images, work, programs, report: print });
  signal.throwIfAborted();
  if (values['first-steps']) await writeNamedImage(images, work);
  else await writePenstockImages(images, work);
  if (values['first-steps']) print('only the image of `npm run image` is there');
  else if (await hasOldCommit()) await writeOldImage(images, work);
  else print('skipped: the upgrade from an older commit, which this clone lacks: git fetch --unshallow');
  print('the images are made');
  signal.throwIfAborted();
  node = await startNode({ folder, programs, report: print });
  signal.throwIfAborted();
  return drive(node);
}

function endDriver(): void {
  if (driver?.pid === undefined || driver.exitCode !== null || driver.signalCode !== null) return;
  try {
    process.kill(-driver.pid, 'SIGKILL');
  } catch {
    // A second signal: its group is gone, and its exit has not been told yet.
  }
}

/** Runs drive.ts inside the node's network and passes on what it says. */
async function drive(node: ClusterNode): Promise<number> {
  const args = ['--folder', folder];
  if (!values['first-steps']) {
    args.push('--chart', resolve(values.chart), '--clients', values.clients, '--seed', values.seed);
  }
  if (values.steps !== undefined) args.push('--steps', values.steps);
  if (values.report !== undefined) args.push('--report', resolve(values.report));
  // kafkajs sets timers that lie in the past.
  const quiet = '--disable-warning=TimeoutNegativeWarning';
  const script = join(import.meta.dirname, values['first-steps'] ? 'first-steps/run.ts' : 'drive.ts');
  const [command, all] = node.inside(process.execPath, [quiet, script, ...args]);
  driver = spawn(command, all, {
    ...{ env: { ...process.env, ...node.env }, stdio: ['ignore', 'pipe', 'inherit'] },
    detached: true, // with a process group of its own, which holds what it runs
  });
  let text = '';
  driver.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (text + chunk).split('\n');
    text = lines.pop() ?? '';
    for (const line of lines) print(line);
  });
  const [exit] = (await once(driver, 'close')) as [number | null];
  return exit ?? 1;
}
