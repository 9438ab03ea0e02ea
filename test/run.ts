/** `npm test`: checks the code, starts a stack of its own, runs the tests against it, and takes it down again. */
import { existsSync, readdirSync, renameSync, rmdirSync, rmSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { check } from '../dev/check/checks.ts';
import { serverFiles } from '../dev/servers/cache.ts';
import { redisCommand } from '../dev/servers/redis.ts';
import { filesOf } from '../dev/stack/folder.ts';
import { main } from '../dev/stack/main.ts';
import { root } from '../dev/stack/options.ts';
import { readStackFile } from '../dev/stack/stack-file.ts';
import { reportToStderr, Trouble } from '../dev/stack/trouble.ts';
import { type RunSettings, runAgain, runFiles, type Tally } from './runner/run-files.ts';
import { type Selection, select } from './runner/selection.ts';
import { launchStack, newFolder } from './support/stack.ts';
import { fetchTools } from './support/tools/index.ts';

const print = (line: string) => void process.stdout.write(`${line}\n`);

await main(async signal => {
  const started = performance.now();
  const selection = selected(process.argv.slice(2));
  const tally: Tally = { passed: 0, failed: 0, skipped: 0 };
  const settings: RunSettings = {
    concurrency: Math.min(4, Math.max(2, availableParallelism())),
    fileTimeoutMs: 300_000,
    names: selection.names,
    root,
    refuseSkips: process.env.TEST_REFUSE_SKIPS === 'true',
    print,
    signal,
  };
  if (selection.needsServers) {
    const { kafkaFolder, redisBinary } = await serverFiles(reportToStderr, signal);
    process.env.TEST_KAFKA_LIBS = kafkaFolder;
    process.env.TEST_REDIS_SERVER ??= redisCommand(redisBinary, reportToStderr);
  }
  if (selection.needsTools) await fetchTools(signal); // before the tests: building them takes all cores
  if (selection.update) process.env.TEST_UPDATE_GOLDEN = 'true';
  const secondTry = process.env.CI === 'true';
  const failedOnce = new Map<string, Tally>();
  const oneByOne = { ...settings, concurrency: 1 };
  const done = (file: string, result: Tally) => {
    if (result.failed > 0 && secondTry) failedOnce.set(file, result);
    else add(tally, result);
  };
  const checked = selection.everything ? checkCode(tally) : undefined;
  const apart = runFiles(selection.apart, oneByOne, done);
  await withStack(selection, settings, tally, async () => {
    await runFiles(selection.together, settings, done);
    await Promise.all([checked, apart]);
    await runFiles(selection.alone, oneByOne, done);
    await runAgain(failedOnce, settings, result => add(tally, result));
  });

  await apart; // also where the stack for the others has not come up

  removeIfEmpty(join(root, '.penstock-test'));
  const skipped = tally.skipped === 0 ? '' : `${tally.skipped} skipped, `;
  print(`${skipped}${Math.round((performance.now() - started) / 1_000)} s`);
  if (signal.aborted) print('stopped before all tests had run');
  print(`${tally.passed} passed, ${tally.failed} failed`);
  process.exit(tally.failed > 0 || tally.passed === 0 || signal.aborted ? 1 : 0);
});

function selected(args: readonly string[]): Selection {
  try {
    return select(args, root);
  } catch (error) {
    throw new Trouble(error instanceof Error ? error.message : String(error));
  }
}

/** Each check counts as a test. */
async function checkCode(tally: Tally): Promise<void> {
  for (const { name, ok, output, seconds } of await check()) {
    tally[ok ? 'passed' : 'failed']++;
    print(`${ok ? '✔' : '✖'} ${name} (${seconds.toFixed(1)} s)`);
    if (!ok) print(output.trimEnd());
  }
}

function add(tally: Tally, { passed, failed, skipped }: Tally): void {
  tally.passed += passed;
  tally.failed += failed;
  tally.skipped += skipped;
}

/** Runs what shares the runner's stack, where there is such. */
async function withStack(
  { together, needsServices, needsPages }: Selection,
  { signal }: RunSettings,
  tally: Tally,
  use: () => Promise<void>,
): Promise<void> {
  if (together.length === 0) return use();
  const failedBefore = tally.failed;
  const folder = newFolder();
  const stack = await launchStack({ services: needsServices, pages: needsPages, folder });
  signal.addEventListener('abort', () => void stack.stop(), { once: true });
  try {
    await stack.ready;
    tellWhere(folder);
    await use();
  } catch (error) {
    if (signal.aborted) return;
    tally.failed++;
    print(`✖ the stack for the tests: ${error instanceof Error ? error.message : error}`);
  } finally {
    await stack.stop();
    if (tally.failed > failedBefore) keepLogs(folder);
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Test processes find the servers in their environment. */
function tellWhere(folder: string): void {
  const file = filesOf(folder).stack;
  const stack = readStackFile(file);
  if (stack === undefined) throw new Error('the stack has ended');
  process.env.TEST_KAFKA = stack.kafka.join(',');
  process.env.TEST_REDIS = stack.redis;
  process.env.TEST_POSTGRES = stack.postgres;
  process.env.TEST_STACK = file;
}

/** The logs of a stack on which a test has failed outlive it, until the next time. */
function keepLogs(folder: string): void {
  const kept = join(root, '.penstock-test', 'logs-of-last-failure');
  const { logs } = filesOf(folder);
  if (!existsSync(logs)) return;
  rmSync(kept, { recursive: true, force: true });
  renameSync(logs, kept);
  print(`logs of the stack: ${kept}`);
}

function removeIfEmpty(folder: string): void {
  if (existsSync(folder) && readdirSync(folder).length === 0) rmdirSync(folder);
}
