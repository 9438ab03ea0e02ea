import { X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { Gauge, type Registry } from 'prom-client';
import type { CertificateFile } from './config.ts';

const pem = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** Returns when the first of a PEM text's certificates ends, s since the epoch; undefined where there is none. */
export function firstExpiry(text: string): number | undefined {
  const ends = [...text.matchAll(pem)].map(([one]) => Date.parse(new X509Certificate(one).validTo) / 1_000);
  return ends.length === 0 ? undefined : ends.reduce((first, end) => Math.min(first, end));
}

/**
 * Adds the gauge of when certificates end. Files are read at each scrape, since they are replaced while the process runs, and parsed
 * when they have changed. One that can't be read keeps the time that was known of it: it is the file that connections go on with.
 */
export function gaugeCertificates(registry: Registry, files: readonly CertificateFile[]): void {
  const known = new Map<string, { text: string; expiry: number | undefined }>();
  const expiryOf = (path: string): number | undefined => {
    try {
      const text = readFileSync(path, 'utf8');
      if (known.get(path)?.text !== text) known.set(path, { text, expiry: firstExpiry(text) });
    } catch {
      // Who connects by it says so in its log.
    }
    return known.get(path)?.expiry;
  };
  new Gauge({
    name: 'penstock_tls_certificate_expiry_timestamp_seconds',
    help: 'When the first certificate in the file of this variable ends, s since the epoch',
    labelNames: ['variable'],
    registers: [registry],
    collect() {
      for (const { variable, path } of files) {
        const expiry = expiryOf(path);
        if (expiry !== undefined) this.set({ variable }, expiry);
      }
    },
  });
}
