/**
 * Writes an OCI image as an archive, without an engine and without a registry: one layer with a folder's content.
 * Source of the format: the OCI image specification 1.1 (layout, manifest, configuration).
 */
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { gzipSync } from 'node:zlib';

const run = promisify(execFile);

export interface ImageOptions {
  /** The folder that becomes the image's root. */
  root: string;
  /** The path of the archive that is written. */
  archive: string;
  /** Such as `penstock:0.1.0`. */
  name: string;
  architecture: 'amd64' | 'arm64';
  entrypoint: readonly string[];
  command: readonly string[];
  /** `uid:gid` */
  user: string;
  workingDir: string;
  env: Readonly<Record<string, string>>;
}

/** The same bytes for the same content, whenever and by whomever it is made. */
const reproducible = ['--sort=name', '--mtime=@0', '--owner=0', '--group=0', '--numeric-owner', '--format=posix'];
const pax = '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime';
const epoch = '1970-01-01T00:00:00Z';

/** Returns the digest of the image's manifest, `sha256:…`. */
export async function writeImage(options: ImageOptions): Promise<string> {
  const work = `${options.archive}.layout`;
  await rm(work, { recursive: true, force: true });
  await mkdir(join(work, 'blobs/sha256'), { recursive: true });
  const layerFile = join(work, 'layer.tar');
  await run('tar', [...reproducible, pax, '-C', options.root, '-cf', layerFile, '.']);
  const layer = await readFile(layerFile);
  await rm(layerFile);

  const put = async (content: Buffer, mediaType: string) => {
    const digest = sha256(content);
    await writeFile(join(work, 'blobs/sha256', digest), content);
    return { mediaType, digest: `sha256:${digest}`, size: content.length };
  };
  const putJson = (content: object, mediaType: string) => put(Buffer.from(JSON.stringify(content)), mediaType);

  const platform = { architecture: options.architecture, os: 'linux' };
  const layers = [await put(gzipSync(layer, { level: 6 }), 'application/vnd.oci.image.layer.v1.tar+gzip')];
  const config = await putJson(
    {
      ...platform,
      created: epoch,
      config: {
        User: options.user,
        WorkingDir: options.workingDir,
        Env: Object.entries(options.env).map(([name, value]) => `${name}=${value}`),
        Entrypoint: options.entrypoint,
        Cmd: options.command,
      },
      rootfs: { type: 'layers', diff_ids: [`sha256:${sha256(layer)}`] },
      history: [{ created: epoch, created_by: 'npm run image' }],
    },
    'application/vnd.oci.image.config.v1+json',
  );
  const mediaType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = await putJson({ schemaVersion: 2, mediaType, config, layers }, mediaType);
  const tag = options.name.slice(options.name.lastIndexOf(':') + 1);
  const annotations = {
    'io.containerd.image.name': referenceOf(options.name),
    'org.opencontainers.image.ref.name': tag,
  };
  const index = { schemaVersion: 2, manifests: [{ ...manifest, platform, annotations }] };
  await writeFile(join(work, 'index.json'), JSON.stringify(index));
  await writeFile(join(work, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  await run('tar', [...reproducible, pax, '-C', work, '-cf', options.archive, 'oci-layout', 'index.json', 'blobs']);
  await rm(work, { recursive: true });
  return manifest.digest;
}

/**
 * Returns the full reference of a short name, `docker.io/library/penstock:0.1.0` for `penstock:0.1.0`. The kubelet asks containerd for
 * the full one, and an import takes the name of the annotation as it stands.
 */
export function referenceOf(name: string): string {
  const [first = '', ...rest] = name.split('/');
  if (rest.length === 0) return `docker.io/library/${name}`;
  const isRegistry = first.includes('.') || first.includes(':') || first === 'localhost';
  return isRegistry ? name : `docker.io/${name}`;
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
