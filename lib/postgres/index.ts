export { connectionOf, openPgPool, type PostgresAddress, type PostgresConfig } from './connect.ts';
export { requireSessions, sessionOf, TransactionPoolingError } from './sessions.ts';
export { allOf, gather, keyLookupsOnly, preparedName, readCommitted } from './statements.ts';
