export { keyHash, rowId } from './hashes.ts';
export { createTable, type FieldColumn, layoutOf, type TableLayout } from './layout.ts';
export { relationName } from './naming.ts';
export { openViews } from './open-views.ts';
export { fingerprintOf, formatTablePlan } from './plan-json.ts';
export { viewMigrations } from './schema.ts';
export { storableText } from './storable.ts';
export type * from './types.ts';
export { liveVersionsSql, type TableVersion, VersionCache, type VersionRow } from './versions.ts';
