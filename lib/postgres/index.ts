export { allOf, gather, keyLookupsOnly, preparedName } from './statements.ts';
