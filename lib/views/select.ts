import type { ShapeField, ViewPlan } from '../app/plan.ts';
import { PenstockError } from '../errors.ts';
import { rowId } from './hashes.ts';
import { fieldExpression } from './layout.ts';
import { fingerprintOf } from './plan-json.ts';
import { Parameters } from './statement.ts';
import { storableText } from './storable.ts';
import type { TableVersion } from './versions.ts';
import { filterCondition } from './where.ts';

export interface ViewCaller {
  userKey: string;
  everyRow: boolean;
}

/** What every statement over a view has in common. */
export interface ViewSelection {
  from: string;
  /** Expressions of the shape's fields, in order. */
  fields: readonly string[];
  conditions: readonly string[];
  parameters: Parameters;
}

/**
 * The rows that a view shows to a caller, from one version of its table.
 * @throws PenstockError UNAVAILABLE where the version was built by another schema and lacks what this view needs.
 */
export function selectView(
  view: ViewPlan,
  version: TableVersion,
  args: Readonly<Record<string, unknown>>,
  caller: ViewCaller,
): ViewSelection {
  const sameSchema = version.fingerprint === fingerprintOf(view.table);
  const stored = new Map(version.plan.shape.fields.map(field => [field.name, field]));
  const parameters = new Parameters();
  const conditions = ['__complete'];
  const unavailable = (what: string): PenstockError =>
    new PenstockError('UNAVAILABLE', `${view.field} is being built for a changed schema (${what})`);

  const expressionOf = (field: ShapeField): string | undefined => {
    const held = stored.get(field.name);
    return held && (sameSchema || isReadable(held, field)) ? fieldExpression(version.layout, held) : undefined;
  };
  const fields = view.shape.fields.map(field => {
    const expression = expressionOf(field);
    if (expression === undefined) {
      if (field.nonNull) throw unavailable(field.name);
      return 'NULL';
    }
    if (field.nonNull && !stored.get(field.name)?.nonNull) conditions.push(`${expression} IS NOT NULL`);
    return expression;
  });

  if (!caller.everyRow) {
    if (version.plan.owner !== view.table.owner) throw unavailable('owner');
    conditions.push(`__owner = ${parameters.add(storableText(caller.userKey), 'text')}`);
  }
  const id = idOf(view, version, args);
  if (id) conditions.push(`__id = ${parameters.add(id, 'bytea')}`);
  for (const filter of view.filters) {
    const argument = args[filter.argument];
    if (argument === undefined || argument === null) continue;
    const expression = expressionOf(filter.field);
    if (expression === undefined) throw unavailable(filter.field.name);
    const condition = filterCondition(filter, argument, expression, parameters);
    if (condition !== undefined) conditions.push(condition);
  }
  return { from: version.layout.relation, fields, conditions, parameters };
}

/** The row's identity, where the arguments say it whole: then it is found by the primary key. */
function idOf(view: ViewPlan, version: TableVersion, args: Readonly<Record<string, unknown>>): Buffer | undefined {
  const values: unknown[] = [];
  for (const name of version.plan.id) {
    const filter = view.filters.find(({ field, op }) => field.name === name && op === 'EQ');
    const value = filter && args[filter.argument];
    if (value === undefined || value === null) return undefined;
    values.push(typeof value === 'string' ? storableText(value) : value);
  }
  return rowId(values);
}

/** Whether what the version holds under this name can stand for the field. */
function isReadable(held: ShapeField, field: ShapeField): boolean {
  if (held.envelope !== field.envelope || (held.envelope && held.source !== field.source)) return false;
  if (held.value.kind === 'enum' && field.value.kind === 'enum') {
    const known = new Set(field.value.values);
    return held.value.values.every(value => known.has(value));
  }
  // Lists and objects of another schema would have to be compared part by part: a rebuild is under way, let it come.
  if (held.value.kind === 'list' || held.value.kind === 'object') return false;
  return held.value.kind === field.value.kind;
}
