import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLSchema,
  isInputObjectType,
  isInterfaceType,
  isIntrospectionType,
  isObjectType,
} from 'graphql';
import { directivesOn } from './directives.ts';
import type { Problems } from './problems.ts';

/** Reports directives on fields where they could never have an effect. */
export function checkPlacement(
  schema: GraphQLSchema,
  isRoot: (type: GraphQLObjectType) => boolean,
  problems: Problems,
): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isIntrospectionType(type)) continue;
    if (isObjectType(type) && isRoot(type)) {
      for (const field of Object.values(type.getFields())) {
        for (const node of directivesOn(field, 'from')) {
          problems.add(node, `${type.name}.${field.name}: @from belongs on the fields of a type that records fill`);
        }
      }
    } else if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) checkBelow(type.name, field);
      if (isInterfaceType(type)) checkInterface(type.name, Object.values(type.getFields()));
    } else if (isInputObjectType(type)) {
      for (const field of Object.values(type.getFields())) checkInput(type.name, field);
    }
  }

  function checkBelow(parent: string, field: GraphQLField<unknown, unknown>): void {
    for (const name of ['view', 'command', 'records'] as const) {
      for (const node of directivesOn(field, name)) {
        problems.add(
          node,
          `${parent}.${field.name}: @${name} belongs on a field of an operation type, not on ${parent}`,
        );
      }
    }
    for (const argument of field.args) {
      for (const node of directivesOn(argument, 'where')) {
        problems.add(
          node,
          `${parent}.${field.name}(${argument.name}:): @where belongs on arguments of operation fields`,
        );
      }
    }
  }

  function checkInterface(parent: string, fields: readonly GraphQLField<unknown, unknown>[]): void {
    for (const field of fields) {
      for (const name of ['from', 'requiresRole'] as const) {
        for (const node of directivesOn(field, name)) {
          problems.add(
            node,
            `${parent}.${field.name}: @${name} has no effect on an interface: write it on the object types`,
          );
        }
      }
    }
  }

  function checkInput(parent: string, field: Parameters<typeof directivesOn>[0] & { name: string }): void {
    for (const node of directivesOn(field, 'where')) {
      problems.add(node, `${parent}.${field.name}: @where belongs on arguments of operation fields`);
    }
  }
}
