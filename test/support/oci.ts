import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, mkdtemp, readdir, readFile, readlink, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, relative } from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';

const run = promisify(execFile);

const Descriptor = z.object({
  mediaType: z.string(),
  digest: z.string().regex(/^sha256:[0-9a-f]{64}$/),
  size: z.number(),
});
const Index = z.object({ manifests: z.array(Descriptor) });
const Manifest = z.object({ config: Descriptor, layers: z.array(Descriptor) });
const Configuration = z.object({
  architecture: z.string(),
  os: z.string(),
  config: z.object({
    User: z.string(),
    WorkingDir: z.string(),
    Env: z.array(z.string()).default([]),
    Entrypoint: z.array(z.string()),
    Cmd: z.array(z.string()),
  }),
});
export type ImageConfiguration = z.infer<typeof Configuration>;

/**
 * Unpacks an OCI archive as a container runtime does: each blob is compared with its digest, and all layers are laid over each other.
 * @param root receives the image's root file system. Root keeps the owners of files.
 */
export async function unpackImage(archive: string, root: string): Promise<ImageConfiguration> {
  const layout = await mkdtemp(join(tmpdir(), 'penstock-oci-'));
  try {
    await run('tar', ['-xf', archive, '-C', layout]);
    const blob = async ({ digest, size }: z.infer<typeof Descriptor>) => {
      const path = join(layout, 'blobs', digest.replace(':', '/'));
      const content = await readFile(path);
      const found = `sha256:${createHash('sha256').update(content).digest('hex')}`;
      if (found !== digest || content.length !== size) throw new Error(`${digest} has ${found}, ${content.length} B`);
      return { path, content };
    };
    const json = async (descriptor: z.infer<typeof Descriptor>): Promise<unknown> =>
      JSON.parse((await blob(descriptor)).content.toString());
    const { manifests } = Index.parse(JSON.parse(await readFile(join(layout, 'index.json'), 'utf8')));
    const [first] = manifests;
    if (first === undefined) throw new Error(`${archive} holds no image`);
    const { config, layers } = Manifest.parse(await json(first));
    await mkdir(root, { recursive: true });
    for (const layer of layers) await run('tar', ['-xpf', (await blob(layer)).path, '-C', root]);
    await chmod(root, 0o755);
    return Configuration.parse(await json(config));
  } finally {
    await rm(layout, { recursive: true });
  }
}

/** Returns what each path below a folder is: type, permissions, owner, and its content by hash. */
export async function contentOf(root: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(root, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    const { mode, uid, gid } = await lstat(path);
    const permissions = `${(mode & 0o7777).toString(8)} ${uid}:${gid}`;
    const name = relative(root, path);
    if (entry.isDirectory()) found.set(name, `folder ${permissions}`);
    else if (entry.isSymbolicLink()) found.set(name, `link to ${await readlink(path)}`);
    else {
      const hash = createHash('sha256').update(await readFile(path));
      found.set(name, `file ${permissions} ${hash.digest('hex')}`);
    }
  }
  return found;
}
