import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { tryLock } from '../lock.mjs';
import { readRegister, sweep } from '../processes/register.ts';
import { readIfThere, replaceJson } from './files.ts';
import { type Report, Trouble } from './trouble.ts';

/** The files of a stack's folder. */
export function filesOf(folder: string) {
  return {
    lock: join(folder, 'lock'),
    /** Pids of everything that runs, for whoever must clean up. */
    register: join(folder, 'pids.json'),
    stack: join(folder, 'stack.json'),
    /** Names of processes that must stay dead, one a line. */
    down: join(folder, 'down'),
    /** How many processes `npm run scale` wants. */
    scale: join(folder, 'scale.json'),
    /** Processes that run another release's code: {@link readReleases}. */
    releases: join(folder, 'releases.json'),
    settings: join(folder, 'settings.json'),
    secrets: join(folder, 'secrets.json'),
    logs: join(folder, 'logs'),
    log: (name: string) => join(folder, 'logs', `${name}.log`),
    kafka: join(folder, 'kafka'),
    redis: join(folder, 'redis'),
    postgres: join(folder, 'postgres'),
    tls: join(folder, 'tls'),
  };
}

/**
 * Takes the folder for this process: nobody else runs a stack in it, and whatever an earlier one left running is ended.
 * With `fresh`, everything in it is thrown away.
 * @throws Trouble when a stack runs in it.
 */
export async function takeFolder(folder: string, fresh: boolean, report: Report): Promise<{ release(): void }> {
  mkdirSync(folder, { recursive: true });
  const files = filesOf(folder);
  const lock = tryLock(files.lock);
  if ('holder' in lock) throw new Trouble(`a stack already runs in ${folder} (process ${lock.holder})`);
  try {
    const left = await sweep(readRegister(files.register)?.processes ?? [], 5_000);
    if (left > 0) report(`ended ${left} processes that an earlier start had left behind`);
    rmSync(files.stack, { force: true });
    rmSync(files.scale, { force: true });
    if (fresh) {
      for (const name of readdirSync(folder)) {
        if (!name.startsWith('lock')) rmSync(join(folder, name), { recursive: true, force: true });
      }
    }
    mkdirSync(files.logs, { recursive: true });
    return lock;
  } catch (error) {
    lock.release();
    throw error;
  }
}

const settingsShape = z.object({
  clusterId: z.string(),
  brokers: z.union([z.literal(1), z.literal(3)]),
  partitions: z.number().int(),
  ports: z.record(z.string(), z.number().int()),
});

/** What the data in a folder was made with. */
export type Settings = z.infer<typeof settingsShape>;

/**
 * The settings of a folder: those of its data, else the wanted ones. Brokers and partitions that were not asked for
 * are the data's.
 * @throws Trouble where others were asked for than the data was made with.
 */
export function settle(
  kept: Settings | undefined,
  asked: { brokers: 1 | 3 | undefined; partitions: number | undefined },
  newClusterId: () => string,
): Settings {
  if (kept === undefined) {
    return { clusterId: newClusterId(), brokers: asked.brokers ?? 1, partitions: asked.partitions ?? 24, ports: {} };
  }
  for (const name of ['brokers', 'partitions'] as const) {
    if (asked[name] !== undefined && asked[name] !== kept[name]) {
      throw new Trouble(
        `the data in this folder was made with --${name} ${kept[name]}: start with that, or with --fresh to throw it away`,
      );
    }
  }
  return kept;
}

export function readSettings(folder: string): Settings | undefined {
  const text = readIfThere(filesOf(folder).settings);
  return text === undefined ? undefined : settingsShape.parse(JSON.parse(text));
}

export function saveSettings(folder: string, settings: Settings): void {
  replaceJson(filesOf(folder).settings, settings);
}

const releasesShape = z.record(z.string(), z.strictObject({ folder: z.string(), app: z.string() }));

/** Where another release's code lies, and the folder of the app as that release runs it; both absolute. */
export type Release = z.infer<typeof releasesShape>[string];

/** Returns the processes, by name, that run another release than this one, from their next start on. */
export function readReleases(folder: string): Readonly<Record<string, Release>> {
  const text = readIfThere(filesOf(folder).releases);
  return text === undefined ? {} : releasesShape.parse(JSON.parse(text));
}

/** The names in the `down` file. */
export function readDown(folder: string): ReadonlySet<string> {
  const { down } = filesOf(folder);
  if (!existsSync(down)) return new Set();
  return new Set(
    readFileSync(down, 'utf8')
      .split('\n')
      .map(line => line.trim())
      .filter(line => line !== ''),
  );
}
