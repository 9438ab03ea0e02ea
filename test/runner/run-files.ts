import { relative } from 'node:path';
import { run } from 'node:test';
import type { TestEvent } from 'node:test/reporters';
import { inspect } from 'node:util';

export interface Tally {
  passed: number;
  failed: number;
  skipped: number;
}

export interface RunSettings {
  /** Files under way at the same time. */
  concurrency: number;
  /** Longest time a file may take, ms; its process is killed then. */
  fileTimeoutMs: number;
  names: readonly string[];
  root: string;
  /** A test that is skipped for want of what a command installs counts as failed, too. */
  refuseSkips: boolean;
  print(line: string): void;
  signal: AbortSignal;
}

/** Tests that take longer are named, so that they are noticed. */
const slowSeconds = 10;

/**
 * Runs test files, each in a process of its own, and prints what failed as it comes.
 * @param done takes what came of each.
 */
export async function runFiles(
  files: readonly string[],
  settings: RunSettings,
  done: (file: string, result: Tally) => void,
): Promise<void> {
  const queue = [...files];
  const lane = async () => {
    for (let file = queue.shift(); file !== undefined; file = queue.shift()) {
      if (settings.signal.aborted) return;
      done(file, await runFile(file, settings));
    }
  };
  await Promise.all(Array.from({ length: settings.concurrency }, lane));
}

/**
 * Runs the files that have failed once more, one by one when all are done, and names those that pass now as flaky: they
 * are defects to be mended, but not a reason to throw a change away. For build servers, whose neighbours we don't know.
 */
export async function runAgain(
  failed: ReadonlyMap<string, Tally>,
  settings: RunSettings,
  done: (result: Tally) => void,
): Promise<void> {
  for (const [file, first] of failed) {
    const second = settings.signal.aborted ? first : await runFile(file, settings);
    if (second.failed === 0) settings.print(`flaky: ${relative(settings.root, file)} passed only when it ran again`);
    done(second);
  }
}

async function runFile(file: string, settings: RunSettings): Promise<Tally> {
  const name = relative(settings.root, file);
  const { names, fileTimeoutMs, signal, print } = settings;
  const tooLong = AbortSignal.timeout(fileTimeoutMs);
  const started = performance.now();
  const mine: Tally = { passed: 0, failed: 0, skipped: 0 };
  const failures: string[] = [];
  const slow: string[] = [];
  /** Of tests that lack something which a command installs, each reason once. */
  const skips = new Set<string>();
  let output = '';
  // one run a file: the signal ends a process that hangs, which run()'s own time-out does not
  const events = run({
    files: [file],
    isolation: 'process',
    signal: AbortSignal.any([signal, tooLong]),
    ...(names.length === 0 ? {} : { testNamePatterns: [...names] }),
  });
  for await (const event of events) {
    if (event.type === 'test:stdout' || event.type === 'test:stderr') {
      output = (output + event.data.message).slice(-20_000);
      continue;
    }
    const result = resultOf(event, file);
    if (result === undefined) continue;
    mine[result.kind]++;
    if (result.kind === 'skipped' && result.why.includes(' install ')) skips.add(result.why);
    if (result.seconds > slowSeconds) slow.push(`  ${result.seconds.toFixed(1)} s: ${result.name}`);
    if (result.kind === 'failed') {
      const why = tooLong.aborted ? `the file took longer than ${fileTimeoutMs / 1_000} s` : result.why;
      failures.push(`  ✖ ${result.name}\n${indent(why)}`);
    }
  }
  const seconds = ((performance.now() - started) / 1_000).toFixed(1);
  print(`${failures.length === 0 ? '✔' : '✖'} ${name}: ${mine.passed} passed, ${mine.failed} failed (${seconds} s)`);
  for (const why of skips) {
    print(`skipped: ${why}`);
    if (settings.refuseSkips) mine.failed++;
  }
  for (const line of [...failures, ...slow]) print(line);
  if (failures.length > 0 && output.trim() !== '')
    print(`  its output ended:\n${indent(output.trimEnd().slice(-4_000))}`);
  return mine;
}

type Result = { name: string; seconds: number } & ({ kind: 'passed' } | { kind: 'skipped' | 'failed'; why: string });

/** What an event says of one test; nothing for suites, and for a test that failed only because one inside it did. */
function resultOf(event: TestEvent, file: string): Result | undefined {
  if (event.type !== 'test:pass' && event.type !== 'test:fail') return undefined;
  const { name, details, skip, todo } = event.data;
  const seconds = details.duration_ms / 1_000;
  if (details.type === 'suite' && event.type === 'test:pass') return undefined;
  if (skip !== undefined || todo !== undefined) return { name, seconds, kind: 'skipped', why: `${skip ?? todo}` };
  if (event.type === 'test:pass') {
    if (name !== file) return { name, seconds, kind: 'passed' };
    return { name: 'the file as a whole', seconds, kind: 'failed', why: 'it has no test' };
  }
  const { error } = event.data.details;
  const type = (error as { failureType?: string }).failureType;
  if (type === 'subtestsFailed') return undefined;
  const why = type === 'testAborted' ? 'its process was ended before it was done' : explain(error);
  return { name: name === file ? 'the file as a whole' : name, seconds, kind: 'failed', why };
}

/** The message and the stack's frames in our own code. */
function explain(error: Error & { cause?: unknown }): string {
  const cause = error.cause ?? error;
  if (!(cause instanceof Error)) return typeof cause === 'string' ? cause : inspect(cause);
  const [head = '', ...frames] = (cause.stack ?? cause.message).split(/\n(?= {4}at )/);
  const ours = frames.filter(frame => !frame.includes('(node:') && !frame.includes('node_modules'));
  const inner = cause.cause === undefined ? [] : [`  caused by: ${inspect(cause.cause)}`];
  return [head.includes(cause.message) ? head : `${cause.message}\n${head}`, ...ours.slice(0, 6), ...inner].join('\n');
}

function indent(text: string): string {
  return text.replaceAll(/^/gm, '      ');
}
