export { compileApp } from './compile.ts';
export { loadApp } from './load.ts';
export type * from './plan.ts';
export { SchemaError, type SchemaProblem } from './problems.ts';
export { allows } from './roles.ts';
