import { execFile } from 'node:child_process';
import { chmod, copyFile, cp, mkdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Looked up by name at run time, so that `ldd` does not list them: names of hosts. */
const nameServices = ['libnss_dns.so.2', 'libnss_files.so.2', 'libresolv.so.2'];

/**
 * Lays below `root` what a service needs beside its own file, of what this machine has: the Node.js that runs this, the libraries that
 * it is linked with, the system's certificate authorities, a user and a folder for temporary files. Imports nothing but Node.js: the
 * Dockerfile runs it in an image that has nothing else.
 */
export async function layRuntime(root: string): Promise<void> {
  for (const folder of ['usr/local/bin', 'tmp', 'etc']) await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await copyFile(process.execPath, join(root, 'usr/local/bin/node'));
  await chmod(join(root, 'usr/local/bin/node'), 0o755);
  for (const library of await librariesOf(process.execPath)) {
    await mkdir(join(root, dirname(library)), { recursive: true });
    await copyFile(library, join(root, library));
  }
  await cp('/etc/ssl/certs', join(root, 'etc/ssl/certs'), { recursive: true, dereference: true });
  await writeFile(join(root, 'etc/passwd'), 'penstock:x:65532:65532::/app:/sbin/nologin\n');
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
}

/** Returns the shared libraries that a program is linked with, and those that look up names of hosts. */
export async function librariesOf(program: string): Promise<string[]> {
  const { stdout } = await run('ldd', [program]);
  const found = [...stdout.matchAll(/(\/\S+\.so\S*)/g)].map(([, path = '']) => path);
  const libc = found.find(path => path.includes('/libc.so'));
  if (libc === undefined) throw new Error(`${program} is not linked with a C library: ldd says ${stdout}`);
  return [...found, ...nameServices.map(name => join(dirname(libc), name))];
}

if (import.meta.main) await layRuntime(process.argv[2] ?? '/out');
