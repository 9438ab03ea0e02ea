import { type GraphQLSchema, getNamedType, isIntrospectionType, isObjectType } from 'graphql';
import { PenstockError } from '../errors.ts';
import { argumentPlace, directivesOn, type Element, itemPlace, readDirective } from './directives.ts';
import type { Problems } from './problems.ts';

/** Roles of which a caller needs one. */
export type AnyOf = readonly string[];

/** The roles of `@requiresRole` on a field or type; empty when it has none. */
export function rolesOf(element: Element, problems: Problems): AnyOf {
  const [directive] = directivesOn(element, 'requiresRole');
  if (!directive) return [];
  const read = readDirective('requiresRole', directive, problems);
  if (!read) return [];
  if (read.anyOf.length === 0) {
    problems.add(
      argumentPlace(directive, 'anyOf'),
      '@requiresRole names no role: nobody could use this; name one or remove it',
    );
  }
  for (const [index, role] of read.anyOf.entries()) {
    if (role.trim() === '') problems.add(itemPlace(directive, 'anyOf', index), '@requiresRole: a role needs a name');
  }
  return read.anyOf;
}

/**
 * Whether a caller may use a stream, command or view at all: one role of `anyOf`, and one of each list in `alsoAnyOf`.
 * This is the check for root fields; what lies below them is guarded by the schema's own resolvers.
 */
export function allows(
  plan: { anyOf: AnyOf; alsoAnyOf: readonly AnyOf[] },
  caller: { roles: readonly string[] },
): boolean {
  return holds(plan.anyOf, caller.roles) && plan.alsoAnyOf.every(anyOf => holds(anyOf, caller.roles));
}

function holds(anyOf: AnyOf, roles: readonly string[]): boolean {
  return anyOf.length === 0 || anyOf.some(role => roles.includes(role));
}

/**
 * Puts resolvers on every field below the roots that needs a role: by its own directive, by that of its parent type, or
 * by that of the type it returns. They read the caller from `context.caller.roles`, and refuse whoever has none.
 */
export function guardFields(schema: GraphQLSchema, problems: Problems): void {
  const roots = [schema.getQueryType(), schema.getMutationType(), schema.getSubscriptionType()];
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type) || isIntrospectionType(type) || roots.includes(type)) continue;
    const parentRoles = rolesOf(type, problems);
    for (const field of Object.values(type.getFields())) {
      const returned = getNamedType(field.type);
      const returnedRoles = isObjectType(returned) ? rolesOf(returned, problems) : [];
      const needed = [rolesOf(field, problems), parentRoles, returnedRoles].filter(anyOf => anyOf.length > 0);
      if (needed.length === 0) continue;
      const name = field.name;
      field.resolve = (source, _args, context) => {
        const roles = rolesIn(context);
        if (!needed.every(anyOf => holds(anyOf, roles))) {
          throw new PenstockError('FORBIDDEN', `${type.name}.${name} needs a role that you don't have`);
        }
        return (source as Record<string, unknown>)[name];
      };
    }
  }
}

function rolesIn(context: unknown): readonly string[] {
  const roles = (context as { caller?: { roles?: unknown } } | undefined)?.caller?.roles;
  return Array.isArray(roles) ? roles : [];
}
