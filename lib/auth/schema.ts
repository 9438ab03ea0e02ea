/** Tables of the routers, in a schema of their own. Idempotent; run under an advisory lock at start. */
export const migrations: readonly string[] = [
  'CREATE SCHEMA IF NOT EXISTS penstock_auth',
  // Times are milliseconds since 1970 by the clock of PostgreSQL, the one clock that all routers share.
  `CREATE TABLE IF NOT EXISTS penstock_auth.signing_key (
    kid text PRIMARY KEY,
    use text NOT NULL CHECK (use IN ('access', 'route')),
    private_jwk jsonb NOT NULL,
    signs_from_ms bigint NOT NULL,
    longest_token_ms bigint NOT NULL
  )`,
  `CREATE TABLE IF NOT EXISTS penstock_auth.local_user (
    name text PRIMARY KEY,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
  )`,
  // Subjects are hashes: rows have a fixed size, and a password typed as a user name is not kept.
  `CREATE TABLE IF NOT EXISTS penstock_auth.login_failure (
    scope text NOT NULL CHECK (scope IN ('user', 'address', 'pair')),
    subject text NOT NULL,
    level double precision NOT NULL,
    updated_at timestamptz NOT NULL,
    blocked_until timestamptz NOT NULL,
    PRIMARY KEY (scope, subject)
  )`,
  'CREATE INDEX IF NOT EXISTS login_failure_updated_at ON penstock_auth.login_failure (updated_at)',
  `CREATE TABLE IF NOT EXISTS penstock_auth.login_success (
    pair text PRIMARY KEY,
    last_at timestamptz NOT NULL
  )`,
  'CREATE INDEX IF NOT EXISTS login_success_last_at ON penstock_auth.login_success (last_at)',
];
