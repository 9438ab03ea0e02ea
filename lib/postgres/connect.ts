import { readFileSync } from 'node:fs';
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

/** What a connection is made by. */
export type PostgresConnection = Required<Pick<pg.ClientConfig, 'connectionString'>> & Pick<pg.ClientConfig, 'ssl'>;

/** The last content of each authority's file that could be read: a file that is being replaced must not end a process. */
const authorities = new Map<string, Buffer>();

/**
 * Returns what the next connection is made by. With an authority's file, which is read each time, the server's certificate and name
 * are checked, unless the URL names an authority itself (`sslrootcert`) or wants no TLS (`sslmode=disable`).
 * @throws Error when the file can't be read and never could.
 */
export function connectionOf({ url, tlsCaFile }: PostgresAddress): PostgresConnection {
  if (tlsCaFile === undefined) return { connectionString: url };
  const parsed = new URL(url);
  const { searchParams } = parsed;
  if (searchParams.has('sslrootcert') || searchParams.get('sslmode') === 'disable') return { connectionString: url };
  searchParams.delete('sslmode'); // else what the URL says of TLS would replace what is said here
  return { connectionString: parsed.href, ssl: { ca: authorityIn(tlsCaFile) } };
}

function authorityIn(file: string): Buffer {
  try {
    const read = readFileSync(file);
    authorities.set(file, read);
    return read;
  } catch (error) {
    const known = authorities.get(file);
    if (known === undefined) throw error;
    return known;
  }
}

/** Opens a pool of which each new connection goes where the address says by then. */
export function openPgPool(address: PostgresAddress, config: Omit<pg.PoolConfig, 'connectionString'>): pg.Pool {
  const pool = new pg.Pool({ ...config, ...connectionOf(address) });
  Object.defineProperties(pool.options, {
    connectionString: { enumerable: true, get: () => connectionOf(address).connectionString },
    ssl: { enumerable: true, get: () => connectionOf(address).ssl },
  });
  return pool;
}
