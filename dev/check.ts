/** `npm run check`: types, lint and formatting, dead code; all at once, each one's output where it found something. */
import { check } from './check/checks.ts';

const results = await check();
for (const { name, ok, output, seconds } of results) {
  process.stdout.write(`${ok ? 'ok  ' : 'FAIL'} ${name} (${seconds.toFixed(1)} s)\n`);
  if (!ok) process.stdout.write(`${output.trimEnd()}\n`);
}
process.exitCode = results.every(({ ok }) => ok) ? 0 : 1;
