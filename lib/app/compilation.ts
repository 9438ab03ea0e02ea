import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  getNamedType,
  isNonNullType,
  isObjectType,
  isOutputType,
  isScalarType,
} from 'graphql';
import type { CommandPlan } from './plan.ts';
import type { Problems } from './problems.ts';
import type { AnyOf } from './roles.ts';
import type { ScalarKind } from './scalars.ts';
import type { Shapes } from './shapes.ts';
import type { Topics } from './topics.ts';

/** What the compilers of root fields share. */
export interface Compilation {
  problems: Problems;
  shapes: Shapes;
  topics: Topics;
  scalars: ReadonlyMap<string, ScalarKind>;
  isRoot(type: GraphQLObjectType): boolean;
  /** What `@requiresRole` on a result's type asks for. */
  alsoAnyOf(type: GraphQLObjectType): readonly AnyOf[];
  /** The first field of each (topic, type). */
  commandTypes: Map<string, { plan: CommandPlan; field: GraphQLField<unknown, unknown> }>;
}

/** A name that nothing defines: reported already, so that nothing more is said about what uses it. */
export function isUndefined(type: GraphQLOutputType, scalars: Compilation['scalars']): boolean {
  const named = getNamedType(type);
  return isScalarType(named) && !scalars.has(named.name);
}

/** The object type that a field gives one value of; undefined, and a problem that says why it must be one. */
export function objectTypeOf(
  field: GraphQLField<unknown, unknown>,
  why: string,
  { problems, scalars, isRoot }: Compilation,
): GraphQLObjectType | undefined {
  const type = isNonNullType(field.type) ? field.type.ofType : field.type;
  if (isObjectType(type) && !isRoot(type)) return type;
  if (isOutputType(type) && !isUndefined(type, scalars)) {
    const message = `${field.name}: ${why}, so that its type must be an object type, not ${String(field.type)}`;
    problems.add(field.astNode?.type, message);
  }
  return undefined;
}
