export { allOf, gather, keyLookupsOnly, preparedName, readCommitted } from './statements.ts';
