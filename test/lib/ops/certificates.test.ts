import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { Registry } from 'prom-client';
import { keytool, tlsFiles } from '../../../dev/servers/tls.ts';
import { catalogue } from '../../../lib/ops/catalogue.ts';
import { gaugeCertificates } from '../../../lib/ops/certificates.ts';
import { certificateFilesOf, readConfig } from '../../../lib/ops/config.ts';

let folder: string;
let ca: string;
before(async () => {
  folder = mkdtempSync(join(tmpdir(), 'penstock-certificates-'));
  ({ caFile: ca } = await tlsFiles(join(folder, 'tls')));
});
after(() => rmSync(folder, { recursive: true }));

/** Days from now after which the certificate of the local stack's authority ends. */
const authorityDays = 3_650;
const name = 'penstock_tls_certificate_expiry_timestamp_seconds';

/** Makes a certificate that ends after so many days; returns its PEM text. */
async function certificate(days: number): Promise<string> {
  const [store, file] = [join(folder, `${days}.p12`), join(folder, `${days}.pem`)];
  const common = ['-keystore', store, '-storetype', 'PKCS12', '-storepass', 'password', '-alias', 'one'];
  const key = ['-keyalg', 'EC', '-groupname', 'secp256r1', '-dname', 'CN=test', '-validity', String(days)];
  await keytool('-genkeypair', ...key, ...common);
  await keytool('-exportcert', '-rfc', '-file', file, ...common);
  return readFileSync(file, 'utf8');
}

function daysFromNow(text: string, variable: string): number | undefined {
  const found = new RegExp(`${name}\\{variable="${variable}"\\} (\\S+)`).exec(text)?.[1];
  return found === undefined ? undefined : Math.round((Number(found) - Date.now() / 1_000) / 86_400);
}

test('the files with certificates are those that the configuration names', () => {
  const env = { PENSTOCK_KAFKA_BROKERS: 'a:1', PENSTOCK_KAFKA_TLS_CA_FILE: '/a', PENSTOCK_KAFKA_TLS_KEY_FILE: '/b' };
  const config = readConfig(catalogue, ['kafka'], env);
  assert.deepEqual(certificateFilesOf(config), [{ variable: 'PENSTOCK_KAFKA_TLS_CA_FILE', path: '/a' }]);
});

test('the end of the first certificate is told, follows the file, and outlives it', async () => {
  const registry = new Registry();
  const file = join(folder, 'bundle.pem');
  gaugeCertificates(registry, [
    { variable: 'A', path: file },
    { variable: 'B', path: join(folder, 'absent.pem') },
  ]);
  assert.equal(daysFromNow(await registry.metrics(), 'A'), undefined);
  writeFileSync(file, `# two\n${await certificate(20)}${readFileSync(ca, 'utf8')}`);
  assert.equal(daysFromNow(await registry.metrics(), 'A'), 20);
  writeFileSync(file, readFileSync(ca));
  assert.equal(daysFromNow(await registry.metrics(), 'A'), authorityDays);
  writeFileSync(file, '-----BEGIN CERTIFICATE-----\nbroken\n-----END CERTIFICATE-----\n');
  assert.equal(daysFromNow(await registry.metrics(), 'A'), authorityDays);
  rmSync(file);
  assert.equal(daysFromNow(await registry.metrics(), 'A'), authorityDays);
  assert.equal(daysFromNow(await registry.metrics(), 'B'), undefined);
});
