/**
 * `node test/image/compare.ts ONE.tar OTHER.tar`: compares two OCI archives by what a container gets: configuration, and each path with
 * its type, permissions, owner and content. Prints the differences; exit 1 where there are any. Run it as root, who keeps owners.
 */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { contentOf, type ImageConfiguration, unpackImage } from '../support/oci.ts';

const folder = await mkdtemp(join(tmpdir(), 'penstock-compare-'));
try {
  const [one = '', other = ''] = process.argv.slice(2);
  const described = await Promise.all([describe(one, join(folder, 'one')), describe(other, join(folder, 'other'))]);
  const differences = differencesOf(...described);
  for (const line of differences) process.stdout.write(`${line}\n`);
  process.stdout.write(`${described[0].size} entries, ${differences.length} differences\n`);
  process.exitCode = differences.length === 0 ? 0 : 1;
} finally {
  await rm(folder, { recursive: true, force: true });
}

async function describe(archive: string, root: string): Promise<Map<string, string>> {
  const configuration = await unpackImage(archive, root);
  return new Map([...settingsOf(configuration), ...(await contentOf(root))]);
}

function settingsOf({ architecture, os, config }: ImageConfiguration): [string, string][] {
  // Builders add a PATH, which nothing here reads: the entry point is a path.
  const env = config.Env.filter(text => !text.startsWith('PATH=')).sort();
  const { User, WorkingDir, Entrypoint, Cmd } = config;
  return Object.entries({ architecture, os, env, User, WorkingDir, Entrypoint, Cmd }).map(([name, value]) => [
    `configuration: ${name}`,
    JSON.stringify(value),
  ]);
}

function differencesOf(one: ReadonlyMap<string, string>, other: ReadonlyMap<string, string>): string[] {
  const names = new Set([...one.keys(), ...other.keys()]);
  return [...names]
    .sort()
    .filter(name => one.get(name) !== other.get(name))
    .map(name => `${name}: ${one.get(name) ?? 'absent'} | ${other.get(name) ?? 'absent'}`);
}
