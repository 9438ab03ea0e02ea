/**
 * `npm run image -- [--out dist/penstock.tar] [--name penstock:<version>]`: the image of this machine's architecture, as an OCI archive,
 * without an engine. `--bundle FOLDER`: the bundles alone, as the Dockerfile asks for them.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import { bundle } from './bundle.ts';
import { writeImage } from './oci.ts';
import { layRuntime } from './runtime.ts';

const { values } = parseArgs({
  options: {
    bundle: { type: 'string' },
    out: { type: 'string', default: join(import.meta.dirname, '../dist/penstock.tar') },
    name: { type: 'string', default: `penstock:${packageJson.version}` },
  },
});

if (values.bundle !== undefined) await bundle(resolve(values.bundle));
else {
  const archive = resolve(values.out);
  const root = `${archive}.root`;
  await mkdir(dirname(archive), { recursive: true });
  await rm(root, { recursive: true, force: true });
  await layRuntime(root);
  await bundle(join(root, 'app'));
  const digest = await writeImage({
    ...{ root, archive, name: values.name, architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' },
    ...{ entrypoint: ['/usr/local/bin/node'], command: ['services/gateway/main.js'] },
    ...{ user: '65532:65532', workingDir: '/app', env: { NODE_ENV: 'production', NODE_OPTIONS: '--use-system-ca' } },
  });
  await rm(root, { recursive: true });
  process.stdout.write(`${archive} ${values.name} ${digest}\n`);
}
