import { type ConstDirectiveNode, type GraphQLObjectType, type GraphQLSchema, isObjectType } from 'graphql';
import { argumentPlace, directivesOn, itemPlace, readDirective } from './directives.ts';
import { isEnvelopeField } from './envelope.ts';
import type { Shape, TablePlan } from './plan.ts';
import type { Problems } from './problems.ts';
import type { Shapes } from './shapes.ts';
import type { Topics } from './topics.ts';

/** Leaves room for what the projector appends within PostgreSQL's 63 bytes. */
const tableName = /^[A-Za-z_][A-Za-z0-9_-]{0,39}$/;

/** Every `@table` of the schema, by its name. */
export function compileTables(
  schema: GraphQLSchema,
  isRoot: (type: GraphQLObjectType) => boolean,
  shapes: Shapes,
  topics: Topics,
  problems: Problems,
): ReadonlyMap<string, TablePlan> {
  const tables = new Map<string, TablePlan>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isObjectType(type)) continue;
    for (const directive of directivesOn(type, 'table')) {
      if (isRoot(type)) {
        problems.add(directive, `@table belongs on a type that records fill, not on ${type.name}`);
        continue;
      }
      const table = tableOf(directive, type);
      if (!table) continue;
      if (tables.has(table.name)) {
        problems.add(
          argumentPlace(directive, 'name'),
          `table "${table.name}" is defined twice: give one of them another name`,
        );
      } else tables.set(table.name, table);
    }
  }
  return tables;

  function tableOf(directive: ConstDirectiveNode, type: GraphQLObjectType): TablePlan | undefined {
    const read = readDirective('table', directive, problems);
    if (!read) return undefined;
    const shape = shapes.of(type);
    if (!tableName.test(read.name)) {
      problems.add(
        argumentPlace(directive, 'name'),
        `"${read.name}" is no table name: a letter or _, then up to 39 letters, digits, '_' or '-'`,
      );
    }
    if (read.topics.length === 0)
      problems.add(argumentPlace(directive, 'topics'), `table "${read.name}" needs a topic`);
    for (const [index, topic] of read.topics.entries()) {
      const place = itemPlace(directive, 'topics', index);
      if (read.topics.indexOf(topic) < index) problems.add(place, `topic "${topic}" is named twice`);
      topics.mention(topic, 'table', place);
    }
    checkId(directive, read, shape, type, problems);
    if (read.owner === '' || (isEnvelopeField(read.owner) && read.owner !== '_key')) {
      problems.add(
        argumentPlace(directive, 'owner'),
        `a row's owner is "_key" or a field of the record, not "${read.owner}"`,
      );
    }
    return { name: read.name, topics: read.topics, shape, id: read.id, owner: read.owner };
  }
}

function checkId(
  directive: ConstDirectiveNode,
  { name: table, id }: { name: string; id: readonly string[] },
  shape: Shape,
  type: GraphQLObjectType,
  problems: Problems,
): void {
  if (id.length === 0) {
    problems.add(argumentPlace(directive, 'id'), `table "${table}" needs an id: fields that tell its rows apart`);
  }
  for (const [index, name] of id.entries()) {
    const place = itemPlace(directive, 'id', index);
    const field = shape.fields.find(candidate => candidate.name === name);
    if (id.indexOf(name) < index) problems.add(place, `id field "${name}" is named twice`);
    else if (!field) {
      // One that the type has was refused for a reason of its own.
      if (!type.getFields()[name]) {
        problems.add(place, `${shape.typeName} has no field "${name}" to be an id${namesOf(type)}`);
      }
    } else if (!field.nonNull)
      problems.add(place, `id field ${shape.typeName}.${name} must be non-null: add ! to its type`);
    else if (['JSON', 'list', 'object'].includes(field.value.kind)) {
      problems.add(place, `id field ${shape.typeName}.${name} must be a scalar or an enum`);
    }
  }
}

/** For messages: what there is to choose from. */
export function namesOf(type: GraphQLObjectType): string {
  return ` (it has ${Object.keys(type.getFields()).join(', ')})`;
}
