/**
 * Writes the alert rules and the dashboards that the chart installs. `npm run monitoring` runs it; with `--check` it only says
 * whether they are up to date (exit 1 if not).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { dashboardFile } from './dashboards/build.ts';
import { dashboards } from './dashboards/index.ts';
import { groups } from './rules/index.ts';
import { rulesFile } from './rules-file.ts';

const folder = join(import.meta.dirname, '../helm/penstock/files');

/** Returns the generated files: their paths and contents. */
export function generated(): ReadonlyMap<string, string> {
  return new Map([
    [join(folder, 'rules.yaml'), rulesFile(groups)],
    ...dashboards.map(
      dashboard => [join(folder, 'dashboards', `${dashboard.name}.json`), dashboardFile(dashboard)] as const,
    ),
  ]);
}

if (import.meta.main) {
  for (const [path, text] of generated()) {
    if (!process.argv.includes('--check')) {
      mkdirSync(dirname(path), { recursive: true });
      writeFileSync(path, text);
    } else if (readFileSync(path, 'utf8') !== text) {
      process.stderr.write(`${path} is out of date: run npm run monitoring\n`);
      process.exitCode = 1;
    }
  }
}
