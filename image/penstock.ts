import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bundle } from './bundle.ts';
import { type ImageOptions, writeImage } from './oci.ts';
import { layRuntime } from './runtime.ts';

/**
 * Makes the image's root file system of what this machine has, with the bundles below `/app`. The Dockerfile makes the same with an
 * engine.
 * @param sources the clone to bundle; default: this one.
 */
export async function makeRoot(root: string, sources?: string): Promise<void> {
  await rm(root, { recursive: true, force: true });
  await layRuntime(root);
  await bundle(join(root, 'app'), sources);
}

/** Writes the image of a root file system that `makeRoot` has made. Returns the digest of its manifest. */
export function writePenstock(
  options: Pick<ImageOptions, 'root' | 'archive' | 'name'> & Partial<Pick<ImageOptions, 'entrypoint'>>,
): Promise<string> {
  return writeImage({
    architecture: process.arch === 'arm64' ? 'arm64' : 'amd64',
    ...{ entrypoint: ['/usr/local/bin/node'], command: ['services/gateway/main.js'] },
    ...{ user: '65532:65532', workingDir: '/app', env: { NODE_ENV: 'production', NODE_OPTIONS: '--use-system-ca' } },
    ...options,
  });
}
