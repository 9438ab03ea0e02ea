import pg from 'pg';

/** Where PostgreSQL is. `url` may change while a process runs: a secret that is in a file and is rotated. */
export interface PostgresAddress {
  readonly url: string;
  /** PEM file of the authority that signs the server's certificate. */
  readonly tlsCaFile?: string | undefined;
}

/** The configuration of a pool. */
export interface PostgresConfig extends PostgresAddress {
  readonly poolSize: number;
}

/**
 * Returns the connection string for the next connection. With an authority's file the server's certificate is checked, unless the
 * URL itself says how (`sslmode`, `sslrootcert`). The file is read for each connection.
 */
export function connectionStringOf({ url, tlsCaFile }: PostgresAddress): string {
  if (tlsCaFile === undefined) return url;
  const parsed = new URL(url);
  if (!parsed.searchParams.has('sslrootcert')) parsed.searchParams.set('sslrootcert', tlsCaFile);
  if (!parsed.searchParams.has('sslmode')) parsed.searchParams.set('sslmode', 'verify-full');
  return parsed.href;
}

/** Opens a pool of which each new connection goes where the address says by then. */
export function openPgPool(address: PostgresAddress, config: Omit<pg.PoolConfig, 'connectionString'>): pg.Pool {
  const pool = new pg.Pool({ ...config, connectionString: connectionStringOf(address) });
  Object.defineProperty(pool.options, 'connectionString', { enumerable: true, get: () => connectionStringOf(address) });
  return pool;
}
