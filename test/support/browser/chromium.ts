import { execFile, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { tryLock } from '../../../dev/lock.mjs';
import { cacheFolder } from '../../../dev/servers/cache.ts';

const run = promisify(execFile);

/** Debian's, and the one that Ubuntu's images for build servers have. */
const programs = ['/usr/bin/chromium', '/usr/bin/google-chrome'];
/** Without a font a page shows boxes in place of letters, and a screenshot is worth nothing. */
const packages = ['chromium', 'fonts-dejavu-core'];

const installed = () => programs.find(program => existsSync(program));

/** Installs Debian's packages, in one process at a time: apt itself would refuse the second one. */
async function install(): Promise<void> {
  const parent = join(cacheFolder(), 'tools');
  await mkdir(parent, { recursive: true });
  for (;;) {
    const lock = tryLock(join(parent, 'chromium.lock'));
    if ('holder' in lock) {
      await sleep(250);
      continue;
    }
    try {
      if (installed() !== undefined) return;
      const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
      const once = () => run('apt-get', ['install', '-qq', '-y', '--no-install-recommends', ...packages], { env });
      // A fresh machine has no lists of packages yet.
      await once().catch(() => run('apt-get', ['update', '-qq']).then(once));
      return;
    } finally {
      lock.release();
    }
  }
}

const canInstall = () => process.getuid?.() === 0 && spawnSync('apt-get', ['--version']).error === undefined;
if (installed() === undefined && canInstall()) await install().catch(() => undefined);

/** Path of the program; undefined where the package can't be had. */
export const chromiumProgram: string | undefined = installed();
/** What a test without Chromium is skipped with; false where it is there. */
export const withoutChromium: string | false =
  chromiumProgram === undefined ? `Chromium: apt-get install ${packages.join(' ')}` : false;
