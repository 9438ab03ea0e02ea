import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { javaCommand } from '../requirements.mjs';
import { Trouble } from '../stack/trouble.ts';

export interface TlsFiles {
  /** PEM, the certificate authority: for clients, and for brokers among themselves. */
  caFile: string;
  /** PKCS12, the brokers' key and chain. */
  keyStore: string;
  password: string;
}

/**
 * A certificate authority and one key for the brokers of this machine, made with the JDK's keytool. The authority's
 * key is thrown away at once: nothing else can ever be signed with it.
 */
export async function tlsFiles(folder: string): Promise<TlsFiles> {
  if (!existsSync(folder)) {
    const draft = `${folder}.new`;
    await rm(draft, { recursive: true, force: true });
    await mkdir(draft, { recursive: true, mode: 0o700 });
    await makeKeys(draft);
    await rename(draft, folder);
  }
  return {
    caFile: join(folder, 'ca.pem'),
    keyStore: join(folder, 'brokers.p12'),
    password: await readFile(join(folder, 'password'), 'utf8'),
  };
}

async function makeKeys(folder: string): Promise<void> {
  const password = randomBytes(24).toString('base64url');
  await writeFile(join(folder, 'password'), password, { mode: 0o600 });
  const store = [
    ...['-keystore', join(folder, 'brokers.p12'), '-storetype', 'PKCS12'],
    ...['-storepass:file', join(folder, 'password')],
  ];
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-validity', '3650'];
  await keytool('-genkeypair', '-alias', 'ca', '-dname', 'CN=Penstock local stack', ...key, '-ext', 'bc:c', ...store);
  const names = ['-ext', 'san=ip:127.0.0.1,dns:localhost', '-ext', 'eku=serverAuth,clientAuth'];
  const signer = ['-signer', 'ca'];
  await keytool('-genkeypair', '-alias', 'brokers', '-dname', 'CN=localhost', ...key, ...names, ...signer, ...store);
  await keytool('-exportcert', '-rfc', '-alias', 'ca', '-file', join(folder, 'ca.pem'), ...store);
  await keytool('-delete', '-alias', 'ca', ...store);
}

/** Runs the keytool beside `java`. */
export async function keytool(...args: string[]): Promise<void> {
  const java = javaCommand();
  const command = basename(java) === java ? 'keytool' : join(dirname(java), 'keytool');
  try {
    await promisify(execFile)(command, args);
  } catch (error) {
    const { stdout, message } = error as { stdout?: string; message: string };
    throw new Trouble(`keytool could not make the brokers' keys: ${stdout?.trim() || message}`);
  }
}
