import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tryLock } from '../../dev/lock.mjs';
import { cacheFolder } from '../../dev/servers/cache.ts';

/** The programs of the Debian package `prometheus`. */
export interface PrometheusTools {
  prometheus: string;
  promtool: string;
}

const run = promisify(execFile);

/** Where the package is unpacked: it is taken from the system's package archive once, without being installed. */
const folder = join(cacheFolder(), 'tools', `prometheus-debian-${process.platform}-${process.arch}`);
const unpacked = (program: string) => join(folder, 'usr', 'bin', program);

function installed(): PrometheusTools | undefined {
  for (const place of [(program: string) => join('/usr/bin', program), unpacked]) {
    const tools = { prometheus: place('prometheus'), promtool: place('promtool') };
    if (existsSync(tools.prometheus) && existsSync(tools.promtool)) return tools;
  }
  return undefined;
}

async function fetchTools(): Promise<void> {
  const parent = dirname(folder);
  await mkdir(parent, { recursive: true });
  for (;;) {
    const lock = tryLock(`${folder}.lock`);
    if ('holder' in lock) {
      await sleep(250);
      continue;
    }
    const draft = await mkdtemp(join(parent, 'fetching-'));
    try {
      if (installed() !== undefined) return;
      const download = () => run('apt-get', ['download', 'prometheus'], { cwd: draft });
      // A fresh machine has no lists of packages yet; only root can fetch them.
      await download().catch(() => run('apt-get', ['update']).then(download));
      const [file = ''] = (await readdir(draft)).filter(name => name.endsWith('.deb'));
      await run('dpkg', ['-x', join(draft, file), join(draft, 'unpacked')]);
      await rename(join(draft, 'unpacked'), folder);
      return;
    } finally {
      await rm(draft, { recursive: true, force: true });
      lock.release();
    }
  }
}

if (installed() === undefined && spawnSync('apt-get', ['--version']).error === undefined) {
  await fetchTools().catch(() => undefined);
}

/** Undefined where the package can't be had. */
export const tools: PrometheusTools | undefined = installed();
/** What a test without Prometheus is skipped with; false where it is there. */
export const withoutPrometheus: string | false =
  tools === undefined ? 'Prometheus and promtool: apt-get install prometheus' : false;
