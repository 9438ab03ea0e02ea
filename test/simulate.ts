import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { root } from '../dev/stack/options.ts';
import { runFiles, type Tally } from './runner/run-files.ts';

/**
 * `npm run simulate -- [100000]`: the pure parts on which moving and replaying rest, each under so many random schedules, and
 * their mutants, which must be found out. Needs no servers. A schedule that fails is printed with its seed, and made small.
 */
const schedules = Number(process.argv[2] ?? 100_000);
if (!Number.isSafeInteger(schedules) || schedules < 1) throw new Error('npm run simulate -- [number of schedules]');

const parts: Readonly<Record<string, readonly string[]>> = {
  'who should own what': ['lib/kafka/sticky-plan'],
  'who does, and how it moves': ['lib/ownership/tenure', 'lib/ownership/fleet'],
  'live and replay, put together': ['lib/replay/seam', 'lib/replay/ring', 'lib/replay/path'],
  'what is replayed from where': ['lib/replay/buffer/model'],
  'cursors and sequences': ['lib/replay/cursor', 'lib/replay/check-cursor', 'lib/replay/sequence-filter'],
};

process.env.TEST_SCHEDULES = String(schedules);
process.env.NODE_OPTIONS = `--import=${pathToFileURL(join(root, 'test/support/schedules.ts'))}`;
const print = (line: string) => void process.stdout.write(`${line}\n`);
const total: Tally = { passed: 0, failed: 0, skipped: 0 };
for (const [part, names] of Object.entries(parts)) {
  print(`${part}, ${schedules} schedules:`);
  await runFiles(
    names.map(name => join(root, 'test', `${name}.test.ts`)),
    {
      ...{ concurrency: 2, fileTimeoutMs: 3_600_000, names: [], root, refuseSkips: false, print },
      signal: new AbortController().signal,
    },
    (_file, { passed, failed }) => {
      total.passed += passed;
      total.failed += failed;
    },
  );
}
print(`${total.passed} passed, ${total.failed} failed`);
process.exit(total.failed > 0 || total.passed === 0 ? 1 : 0);
