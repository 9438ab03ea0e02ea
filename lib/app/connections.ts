import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  isListType,
  isNonNullType,
  isObjectType,
  isScalarType,
} from 'graphql';
import { isUndefined } from './compilation.ts';
import { directivesOn } from './directives.ts';
import type { Problems } from './problems.ts';
import type { ScalarKind } from './scalars.ts';

/** Relay's arguments (GraphQL Cursor Connections Specification): they page, and filter nothing. */
export const pagingArguments: ReadonlySet<string> = new Set(['first', 'after', 'last', 'before']);

/** Each part of PageInfo: its kind, and the argument that makes it necessary. */
const pageInfoFields: readonly { name: string; kind: 'Boolean' | 'String'; for: 'first' | 'last' }[] = [
  { name: 'hasNextPage', kind: 'Boolean', for: 'first' },
  { name: 'endCursor', kind: 'String', for: 'first' },
  { name: 'hasPreviousPage', kind: 'Boolean', for: 'last' },
  { name: 'startCursor', kind: 'String', for: 'last' },
];

/** A type that no record fills but that has a connection's name or its parts. */
export function looksLikeConnection(type: GraphQLObjectType): boolean {
  if (directivesOn(type, 'table').length > 0) return false;
  const fields = type.getFields();
  return type.name.endsWith('Connection') || ('edges' in fields && 'pageInfo' in fields);
}

/** The type of a connection's nodes; undefined, and problems, where its parts aren't as Relay has them. */
export function checkConnection(
  field: GraphQLField<unknown, unknown>,
  connection: GraphQLObjectType,
  problems: Problems,
  scalars: ReadonlyMap<string, ScalarKind>,
): GraphQLObjectType | undefined {
  checkArguments(field, problems);
  const { edges, pageInfo } = connection.getFields();
  onlyThese(connection, ['edges', 'pageInfo']);
  if (pageInfo) checkPageInfo(pageInfo);
  else problems.add(connection.astNode?.name, `${connection.name} needs pageInfo: PageInfo!`);
  if (!edges) {
    problems.add(connection.astNode?.name, `${connection.name} needs edges: a list of objects with cursor and node`);
    return undefined;
  }
  const list = nullable(edges.type);
  const edge = isListType(list) ? nullable(list.ofType) : undefined;
  if (!isObjectType(edge)) {
    if (!isUndefined(edges.type, scalars)) {
      problems.add(edges.astNode?.type, `${connection.name}.edges must be a list of objects with cursor and node`);
    }
    return undefined;
  }
  return nodeOf(edge);

  function nodeOf(edge: GraphQLObjectType): GraphQLObjectType | undefined {
    const { cursor, node } = edge.getFields();
    onlyThese(edge, ['cursor', 'node']);
    if (!cursor) problems.add(edge.astNode?.name, `${edge.name} needs cursor: String!`);
    else if (!isText(cursor.type)) problems.add(cursor.astNode?.type, `${edge.name}.cursor must be a String`);
    const row = node && nullable(node.type);
    if (isObjectType(row)) return row;
    if (row && isUndefined(row, scalars)) return undefined;
    problems.add(node?.astNode?.type ?? edge.astNode?.name, `${edge.name} needs node: the type of the table's rows`);
    return undefined;
  }

  function checkPageInfo(at: GraphQLField<unknown, unknown>): void {
    const type = nullable(at.type);
    if (!isObjectType(type)) {
      if (!isUndefined(type, scalars)) {
        problems.add(at.astNode?.type, `${connection.name}.pageInfo must be an object type, PageInfo`);
      }
      return;
    }
    onlyThese(
      type,
      pageInfoFields.map(({ name }) => name),
    );
    for (const { name, kind, for: argument } of pageInfoFields) {
      const part = type.getFields()[name];
      const wanted = kind === 'Boolean' ? 'Boolean!' : 'String';
      if (!part) {
        if (field.args.some(arg => arg.name === argument)) {
          problems.add(
            type.astNode?.name,
            `${type.name} needs ${name}: ${wanted}, since ${field.name} has ${argument}`,
          );
        }
      } else if (
        kind === 'Boolean' ? kindOf(part.type) !== 'Boolean' : !isText(part.type) || isNonNullType(part.type)
      ) {
        problems.add(part.astNode?.type, `${type.name}.${name} must be ${wanted}`);
      }
    }
  }

  function onlyThese(type: GraphQLObjectType, names: readonly string[]): void {
    for (const extra of Object.values(type.getFields())) {
      if (!names.includes(extra.name)) {
        problems.add(extra.astNode?.name, `${type.name}.${extra.name}: nothing fills it, only ${names.join(', ')}`);
      }
    }
  }

  function kindOf(type: GraphQLOutputType): ScalarKind | undefined {
    const inner = nullable(type);
    return isScalarType(inner) ? scalars.get(inner.name) : undefined;
  }

  function isText(type: GraphQLOutputType): boolean {
    return kindOf(type) === 'String' || kindOf(type) === 'ID';
  }
}

function checkArguments(field: GraphQLField<unknown, unknown>, problems: Problems): void {
  const types = new Map(field.args.map(argument => [argument.name, argument]));
  const pairs = [
    ['first', 'after'],
    ['last', 'before'],
  ] as const;
  if (!types.has('first') && !types.has('last')) {
    problems.add(field.astNode?.name, `${field.name}: a connection is read in pages; add first: Int and after: String`);
  }
  for (const [size, cursor] of pairs) {
    if (types.has(size) !== types.has(cursor)) {
      const [has, lacks] = types.has(size) ? [size, cursor] : [cursor, size];
      problems.add(types.get(has)?.astNode, `${field.name}: ${has} needs ${lacks} beside it`);
    }
    for (const [name, allowed] of [
      [size, ['Int']],
      [cursor, ['String', 'ID']],
    ] as const) {
      const argument = types.get(name);
      const type = argument && String(argument.type).replace(/!$/, '');
      if (type !== undefined && !allowed.some(candidate => candidate === type)) {
        problems.add(
          argument?.astNode?.type,
          `${field.name}: ${name} must be ${allowed.join(' or ')}, not ${String(argument?.type)}`,
        );
      }
    }
  }
}

function nullable(type: GraphQLOutputType): GraphQLOutputType {
  return isNonNullType(type) ? type.ofType : type;
}
