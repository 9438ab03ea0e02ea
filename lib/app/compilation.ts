import type { GraphQLField, GraphQLObjectType } from 'graphql';
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
