import { spawn } from 'node:child_process';
import { delimiter, dirname, join } from 'node:path';
import { root } from '../stack/options.ts';

export interface CheckResult {
  name: string;
  ok: boolean;
  output: string;
  seconds: number;
}

const checks: readonly { name: string; command: string; args: readonly string[] }[] = [
  { name: 'types (tsc)', command: 'tsc', args: ['-p', '.'] },
  { name: 'types of the pages (tsc)', command: 'tsc', args: ['-p', 'web'] },
  { name: 'lint and formatting (biome)', command: 'biome', args: ['ci', '--colors=off', '--max-diagnostics=50', '.'] },
  { name: 'dead code (knip)', command: 'knip', args: ['--no-progress'] },
];

/** Runs all checks beside each other. */
export async function check(): Promise<CheckResult[]> {
  return Promise.all(checks.map(one));
}

async function one({ name, command, args }: (typeof checks)[number]): Promise<CheckResult> {
  const started = performance.now();
  const path = `${dirname(process.execPath)}${delimiter}${process.env.PATH}`; // their `#!/usr/bin/env node` is the pinned one
  const child = spawn(join(root, 'node_modules/.bin', command), args, {
    cwd: root,
    env: { ...process.env, PATH: path, NO_COLOR: '1' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ok = await new Promise<boolean>(resolve => {
    child.once('error', error => {
      output += error.message;
      resolve(false);
    });
    child.once('close', code => resolve(code === 0));
  });
  return { name, ok, output, seconds: (performance.now() - started) / 1_000 };
}
