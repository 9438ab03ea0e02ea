import type { ConstDirectiveNode, GraphQLField } from 'graphql';
import { type Compilation, objectTypeOf } from './compilation.ts';
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
  const { problems, shapes, topics } = compilation;
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
  const type = objectTypeOf(field, 'each record becomes one object', compilation);
  if (!type) return undefined;
  const shape = shapes.of(type);
  const alsoAnyOf = compilation.alsoAnyOf(type);
  const required = [anyOf, ...alsoAnyOf];
  const filters = compileFilters(field, { shape, type, paging: new Set(), required }, compilation);
  return { field: field.name, topic: read.topic, scope: read.scope, shape, filters, anyOf, alsoAnyOf };
}
