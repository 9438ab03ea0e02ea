/** An app's schema: compiled, and what the services ask of the plan. `docs/schema-language.md` is the language. */
export { canonicalArguments, commandTypes, validateArguments } from './arguments.ts';
export type * from './commands.ts';
export { compileApp } from './compile.ts';
export { canonicalDateTime, dateTimeOf } from './date-time.ts';
export { type Filled, fillShape, readFields } from './fill.ts';
export { loadApp } from './load.ts';
export { loadCommands } from './load-commands.ts';
export type * from './plan.ts';
export { compareCodePoints, compilePredicate, type Predicate } from './predicate.ts';
export { SchemaError, type SchemaProblem } from './problems.ts';
export { allows } from './roles.ts';
export { readRow } from './rows.ts';
