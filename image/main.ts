/**
 * `npm run image -- [--out dist/penstock.tar] [--name penstock:<version>]`: the image of this machine's architecture, as an OCI archive,
 * without an engine. `--bundle FOLDER`: the bundles alone, as the Dockerfile asks for them.
 */
import { mkdir, rm } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import packageJson from '../package.json' with { type: 'json' };
import { bundle } from './bundle.ts';
import { makeRoot, writePenstock } from './penstock.ts';

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
  await makeRoot(root);
  const digest = await writePenstock({ root, archive, name: values.name });
  await rm(root, { recursive: true });
  process.stdout.write(`${archive} ${values.name} ${digest}\n`);
}
