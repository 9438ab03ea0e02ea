import { execFile } from 'node:child_process';
import { globSync } from 'node:fs';
import { chmod, copyFile, cp, mkdir, readdir, stat, symlink, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { javaCommand } from '../../../dev/requirements.mjs';
import { serverFiles } from '../../../dev/servers/cache.ts';
import { nativeFolder, postgresPrograms } from '../../../dev/servers/postgres.ts';
import type { Report } from '../../../dev/stack/trouble.ts';
import { librariesOf } from '../../../image/runtime.ts';

const run = promisify(execFile);

/** What Kafka needs of Java. */
const javaModules = 'java.se,jdk.unsupported,jdk.management,jdk.crypto.ec,jdk.security.auth,jdk.zipfs';

/**
 * Makes the root file system of the image in which Kafka, Redis and PostgreSQL run, of what the local stack has fetched by
 * package name and of this machine's JDK: `/java`, `/kafka`, `/redis-server`, `/postgres`, and a shell, which `initdb` needs.
 */
export async function makeServersRoot(root: string, work: string, report: Report): Promise<void> {
  const { kafkaFolder, redisBinary } = await serverFiles(report, new AbortController().signal);
  for (const folder of ['bin', 'etc', 'tmp', 'run']) await mkdir(join(root, folder), { recursive: true });
  await chmod(join(root, 'tmp'), 0o1777);
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0::/:/bin/sh\nserver:x:999:999::/tmp:/bin/sh\n');
  await writeFile(join(root, 'etc/nsswitch.conf'), 'hosts: files dns\n');
  await copyFile('/bin/busybox', join(root, 'bin/busybox'));
  for (const name of ['sh', 'mkdir', 'cat', 'sleep', 'ls']) await symlink('busybox', join(root, 'bin', name));

  await makeJava(join(root, 'java'));
  await cp(kafkaFolder, join(root, 'kafka'), { recursive: true });
  await copyFile(join(import.meta.dirname, '../../../dev/servers/log4j2.properties'), join(root, 'kafka.properties'));
  await copyFile(redisBinary, join(root, 'redis-server'));
  await chmod(join(root, 'redis-server'), 0o755);
  await postgresPrograms(join(work, 'postgres')); // makes the links that npm cannot hold
  const native = await nativeFolder();
  await cp(native, join(root, 'postgres'), { recursive: true, verbatimSymlinks: true });
  for (const name of await readdir(join(root, 'postgres/bin'))) await chmod(join(root, 'postgres/bin', name), 0o755);

  const own = [join(root, 'java'), native];
  const linked = [
    redisBinary,
    ...['initdb', 'postgres'].map(name => join(native, 'bin', name)),
    ...globSync(['bin/java', 'lib/**/*.so'], { cwd: join(root, 'java') }).map(name => join(root, 'java', name)),
  ];
  for (const program of linked) {
    for (const library of await librariesOf(program)) {
      const target = join(root, library);
      if (own.some(folder => library.startsWith(folder)) || (await isThere(target))) continue;
      await mkdir(dirname(target), { recursive: true });
      await copyFile(library, target);
    }
  }
}

async function makeJava(folder: string): Promise<void> {
  const java = javaCommand();
  const jlink = java.includes('/') ? join(dirname(java), 'jlink') : 'jlink';
  const small = ['--strip-java-debug-attributes', '--no-header-files', '--no-man-pages'];
  await run(jlink, ['--add-modules', javaModules, ...small, '--output', folder]);
  await run(join(folder, 'bin/java'), ['-Xshare:dump'], { maxBuffer: 16 << 20 });
}

function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
