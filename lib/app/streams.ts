import { type ConstDirectiveNode, type GraphQLField, isNonNullType, isObjectType } from 'graphql';
import type { Compilation } from './compilation.ts';
import { argumentPlace, readDirective } from './directives.ts';
import { compileFilters } from './filters.ts';
import type { StreamPlan } from './plan.ts';
import { rolesOf } from './roles.ts';

/** A Subscription field with `@records`. */
export function compileStream(
  field: GraphQLField<unknown, unknown>,
  directive: ConstDirectiveNode,
  compilation: Compilation,
): StreamPlan | undefined {
  const { problems, shapes, topics, scalars } = compilation;
  const read = readDirective('records', directive, problems);
  if (!read) return undefined;
  topics.mention(read.topic, 'records', argumentPlace(directive, 'topic'));
  const anyOf = rolesOf(field, problems);
  if (read.scope === 'ALL' && anyOf.length === 0) {
    problems.addUnlessKnown(
      argumentPlace(directive, 'scope'),
      `${field.name}: scope ALL shows everybody's records and needs @requiresRole`,
    );
  }
  const type = isNonNullType(field.type) ? field.type.ofType : field.type;
  if (!isObjectType(type) || compilation.isRoot(type)) {
    problems.addUnlessKnown(
      field.astNode?.type,
      `${field.name}: each record becomes one object, so the type must be an object type, not ${String(field.type)}`,
    );
    return undefined;
  }
  const shape = shapes.of(type);
  const alsoAnyOf = compilation.alsoAnyOf(type);
  const required = [anyOf, ...alsoAnyOf];
  const filters = compileFilters(field, shape, type, { scalars, problems, except: new Set(), required });
  return { field: field.name, topic: read.topic, scope: read.scope, shape, filters, anyOf, alsoAnyOf };
}
