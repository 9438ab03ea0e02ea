/** Programs of Debian's packages, unpacked without being installed. apt compares a package with its signed list. */
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, onPath, platform, runOr, ToolMissing } from './cache.ts';

/** Returns the path of promtool: that of the package `prometheus`, or one on the PATH. @throws ToolMissing */
export async function promtool(): Promise<string> {
  try {
    return await fromDebian('prometheus', 'usr/bin/promtool');
  } catch (error) {
    if (!(error instanceof ToolMissing)) throw error;
    return onPath('promtool', ['--version'], /version/, 'promtool: apt-get install prometheus');
  }
}

/** Returns the path of bubblewrap, which runs a program in namespaces of its own. @throws ToolMissing */
export async function bubblewrap(): Promise<string> {
  try {
    return await fromDebian('bubblewrap', 'usr/bin/bwrap');
  } catch (error) {
    if (!(error instanceof ToolMissing)) throw error;
    return onPath('bwrap', ['--version'], /bubblewrap/, 'bubblewrap: apt-get install bubblewrap');
  }
}

async function fromDebian(name: string, program: string): Promise<string> {
  const otherwise = `${name}: apt-get update && apt-get install ${name}`;
  const folder = await cached(`${name}-debian-${platform}`, async draft => {
    await download(name, draft, otherwise);
    const file = (await readdir(draft)).find(found => found.endsWith('.deb'));
    if (file === undefined) throw new ToolMissing(otherwise);
    await runOr(otherwise, 'dpkg', ['-x', join(draft, file), draft]);
    await rm(join(draft, file));
  });
  return join(folder, program);
}

/** A machine that has just been made has no list of packages yet, or an old one; only root may fetch a new one. */
async function download(name: string, folder: string, otherwise: string): Promise<void> {
  const once = () => runOr(otherwise, 'apt-get', ['download', '-qq', name], { cwd: folder });
  try {
    await once();
  } catch (error) {
    if (process.getuid?.() !== 0) throw error;
    await runOr(otherwise, 'apt-get', ['update', '-qq']);
    await once();
  }
}
