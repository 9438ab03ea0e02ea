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

async function fromDebian(name: string, program: string): Promise<string> {
  const otherwise = `${name}: apt-get update && apt-get install ${name}`;
  const folder = await cached(`${name}-debian-${platform}`, async draft => {
    await runOr(otherwise, 'apt-get', ['download', '-qq', name], { cwd: draft });
    const file = (await readdir(draft)).find(found => found.endsWith('.deb'));
    if (file === undefined) throw new ToolMissing(otherwise);
    await runOr(otherwise, 'dpkg', ['-x', join(draft, file), draft]);
    await rm(join(draft, file));
  });
  return join(folder, program);
}
