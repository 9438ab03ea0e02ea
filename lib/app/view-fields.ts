import {
  type ConstDirectiveNode,
  type GraphQLField,
  type GraphQLObjectType,
  isListType,
  isNonNullType,
  isObjectType,
  isOutputType,
} from 'graphql';
import { type Compilation, isUndefined } from './compilation.ts';
import { checkConnection, looksLikeConnection, pagingArguments } from './connections.ts';
import { argumentPlace, readDirective } from './directives.ts';
import { compileFilters } from './filters.ts';
import type { TablePlan, ViewPlan } from './plan.ts';
import { rolesOf } from './roles.ts';

/** A Query field with `@view`. */
export function compileView(
  field: GraphQLField<unknown, unknown>,
  directive: ConstDirectiveNode,
  tables: ReadonlyMap<string, TablePlan>,
  compilation: Compilation,
): ViewPlan | undefined {
  const { problems } = compilation;
  const read = readDirective('view', directive, problems);
  const anyOf = rolesOf(field, problems);
  const target = targetOf(field, compilation);
  if (!read || !target) return undefined;
  const table = tables.get(read.table);
  if (!table) {
    const known = [...tables.keys()].map(name => `"${name}"`).join(', ') || 'none';
    problems.addUnlessKnown(
      argumentPlace(directive, 'table'),
      `${field.name}: no type has @table(name: "${read.table}") (tables: ${known})`,
    );
    return undefined;
  }
  if (table.shape.typeName !== target.row.name) {
    problems.add(
      field.astNode?.type,
      `${field.name}: table "${table.name}" holds ${table.shape.typeName}, not ${target.row.name}`,
    );
    return undefined;
  }
  if (target.kind === 'row' && isNonNullType(field.type)) {
    problems.add(
      field.astNode?.type,
      `${field.name}: there may be no such row, so the type must be nullable: remove the !`,
    );
  }
  const alsoAnyOf = compilation.alsoAnyOf(target.row);
  const paging = target.kind === 'connection' ? pagingArguments : new Set<string>();
  const required = [anyOf, ...alsoAnyOf];
  const filters = compileFilters(field, { shape: table.shape, type: target.row, paging, required }, compilation);
  return { field: field.name, table, kind: target.kind, shape: table.shape, filters, anyOf, alsoAnyOf };
}

/** The row type behind a view's own type, and how it gives rows. */
function targetOf(
  field: GraphQLField<unknown, unknown>,
  compilation: Compilation,
): { kind: ViewPlan['kind']; row: GraphQLObjectType } | undefined {
  const type = isNonNullType(field.type) ? field.type.ofType : field.type;
  if (isListType(type)) {
    const item = isNonNullType(type.ofType) ? type.ofType.ofType : type.ofType;
    if (isObjectType(item) && !compilation.isRoot(item)) return { kind: 'list', row: item };
  } else if (isObjectType(type) && !compilation.isRoot(type)) {
    if (!looksLikeConnection(type)) return { kind: 'row', row: type };
    const row = checkConnection(field, type, compilation.problems, compilation.scalars);
    return row && { kind: 'connection', row };
  }
  if (!isOutputType(type) || isUndefined(type, compilation.scalars)) return undefined;
  compilation.problems.add(
    field.astNode?.type,
    `${field.name}: a view gives a row (an object type), a list of rows, or a connection, not ${String(field.type)}`,
  );
  return undefined;
}
