import { execFile } from 'node:child_process';
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { filesOf } from '../../../dev/stack/folder.ts';
import { until } from '../../support/until.ts';
import { pause } from '../whole.ts';
import { inSync } from './servers.ts';
import type { Fault, World } from './types.ts';

const run = promisify(execFile);
/** Room that a broker has beyond what it holds when it moves into the small disk. */
const spareBytes = 64 * 1_024 * 1_024;

/** A broker whose disk is full: it can't write, halts, and dies again at each start until there is room. */
export const diskFaults: readonly Fault[] = [{ name: 'broker-disk-full', unavailable: whyNoMount, inject: fillDisk }];

async function whyNoMount(): Promise<string | undefined> {
  if (process.platform !== 'linux' || process.getuid?.() !== 0) return 'needs Linux and root';
  const folder = join(process.env.TMPDIR ?? '/tmp', `penstock-mount-${process.pid}`);
  mkdirSync(folder);
  try {
    await mount(folder, 1_024 * 1_024);
    await run('umount', [folder]);
    return undefined;
  } catch (error) {
    return `may not mount a tmpfs: ${String((error as { stderr?: string }).stderr ?? error).trim()}`;
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function mount(folder: string, bytes: number): Promise<unknown> {
  return run('mount', ['-t', 'tmpfs', '-o', `size=${bytes}`, 'penstock', folder]);
}

async function fillDisk(world: World): Promise<void> {
  const { stack, random, log, signal } = world;
  const id = random.integer(1, stack.kafka.length);
  const name = `kafka-${id}`;
  const data = join(filesOf(stack.folder).kafka, `node-${id}`);
  const aside = `${data}.aside`;
  const ballast = join(data, 'ballast');
  await stack.down(name);
  await run('mv', [data, aside]);
  mkdirSync(data);
  try {
    const { stdout } = await run('du', ['-s', '--block-size=1', aside]);
    await mount(data, Number.parseInt(stdout, 10) + spareBytes);
    try {
      await copy(aside, data);
      await stack.up(name);
      await inSync(world);
      log(`the disk of ${name} fills up`);
      await fill(ballast);
      const pid = stack.pid(name);
      const ms = random.integer(8_000, 15_000);
      await pause(ms, signal);
      if (stack.pid(name) === pid && !signal.aborted) throw new Error(`${name} has survived ${ms} ms without room`);
      log(`${name} has halted`);
      rmSync(ballast);
      log('there is room again');
      await until(`${name} to run`, () => signal.aborted || stack.pid(name) !== undefined, 30_000);
      await inSync(world);
      await stack.down(name);
      rmSync(aside, { recursive: true });
      await copy(data, aside);
    } finally {
      await stack.down(name);
      await run('umount', [data]);
    }
  } finally {
    rmSync(data, { recursive: true });
    await run('mv', [aside, data]);
    await stack.up(name);
  }
  await inSync(world);
}

/** Sparse as it is: a broker's indexes are mostly holes. */
async function copy(from: string, to: string): Promise<void> {
  mkdirSync(to, { recursive: true });
  await run('cp', ['-a', '--sparse=always', `${from}/.`, to]);
}

/** Until nothing more goes in. */
async function fill(path: string): Promise<void> {
  writeFileSync(path, '');
  const file = await open(path, 'a');
  try {
    for (let size = 1_048_576; size >= 4_096; ) {
      const written = await file.write(Buffer.alloc(size)).catch(() => undefined);
      if (written === undefined || written.bytesWritten < size) size /= 2;
    }
  } finally {
    await file.close();
  }
}
