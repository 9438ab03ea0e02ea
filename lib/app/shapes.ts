import {
  type GraphQLField,
  type GraphQLObjectType,
  type GraphQLOutputType,
  isEnumType,
  isListType,
  isNonNullType,
  isObjectType,
  isOutputType,
  isScalarType,
} from 'graphql';
import { argumentPlace, directivesOn, readDirective } from './directives.ts';
import { isEnvelopeField, misfitOfEnvelope } from './envelope.ts';
import type { Shape, ShapeField, ValueKind } from './plan.ts';
import type { Problems } from './problems.ts';
import { rolesOf } from './roles.ts';
import type { ScalarKind } from './scalars.ts';

/** Object types as records fill them, each built once; types may contain each other. */
export interface Shapes {
  of(type: GraphQLObjectType): Shape;
  /** Reports what can only be seen once all shapes are there. */
  finish(): void;
}

interface Built {
  shape: Shape;
  fields: ShapeField[];
  type: GraphQLObjectType;
}

export function openShapes(
  scalars: ReadonlyMap<string, ScalarKind>,
  isRoot: (type: GraphQLObjectType) => boolean,
  problems: Problems,
): Shapes {
  const built = new Map<string, Built>();
  return { of: type => shapeOf(type).shape, finish };

  function shapeOf(type: GraphQLObjectType): Built {
    const known = built.get(type.name);
    if (known) return known;
    const fields: ShapeField[] = [];
    const entry: Built = { shape: { typeName: type.name, fields }, fields, type };
    // Before its fields are read: one of them may be of this very type.
    built.set(type.name, entry);
    for (const field of Object.values(type.getFields())) {
      const compiled = fieldOf(type, field);
      if (compiled) fields.push(compiled);
    }
    return entry;
  }

  function fieldOf(parent: GraphQLObjectType, field: GraphQLField<unknown, unknown>): ShapeField | undefined {
    const at = `${parent.name}.${field.name}`;
    if (field.args.length > 0) {
      problems.add(field.astNode?.arguments?.[0], `${at}: a field that records fill takes no arguments: remove them`);
    }
    const source = sourceOf(field, at);
    const envelope = isEnvelopeField(source);
    const value = kindOf(field.type, at, field);
    if (!value) return undefined;
    const nonNull = isNonNullType(field.type);
    if (envelope) {
      const misfit = misfitOfEnvelope(source, value);
      if (misfit) {
        problems.add(field.astNode?.type, `${at}: ${misfit}`);
        return undefined;
      }
    }
    return { name: field.name, source, envelope, nonNull, value, anyOf: rolesOf(field, problems) };
  }

  function sourceOf(field: GraphQLField<unknown, unknown>, at: string): string {
    const [directive] = directivesOn(field, 'from');
    const from = directive && readDirective('from', directive, problems);
    if (directive && from?.field === '') {
      problems.add(argumentPlace(directive, 'field'), `${at}: @from needs the name of a record's field`);
      return field.name;
    }
    return from?.field ?? field.name;
  }

  function kindOf(type: GraphQLOutputType, at: string, field: GraphQLField<unknown, unknown>): ValueKind | undefined {
    const inner = isNonNullType(type) ? type.ofType : type;
    if (isListType(inner)) {
      const of = kindOf(inner.ofType, at, field);
      return of && { kind: 'list', of, nonNull: isNonNullType(inner.ofType) };
    }
    if (isScalarType(inner)) {
      const kind = scalars.get(inner.name);
      // A name that nothing defines: reported already, so that the field is simply left out.
      return kind && { kind };
    }
    if (isEnumType(inner)) return { kind: 'enum', values: inner.getValues().map(({ name }) => name) };
    if (isObjectType(inner) && !isRoot(inner)) return { kind: 'object', shape: shapeOf(inner).shape };
    const what = isObjectType(inner) ? 'an operation type' : 'an interface or union';
    // What is no output type at all has been refused by GraphQL.
    if (isOutputType(inner))
      problems.add(
        field.astNode?.type,
        `${at}: ${inner.name} is ${what}; a record's field needs an object type, a scalar or an enum`,
      );
    return undefined;
  }

  function finish(): void {
    for (const { type, fields } of built.values()) {
      for (const field of fields) {
        const node = type.getFields()[field.name]?.astNode;
        const nested = objectIn(field.value);
        const envelopeField = nested?.fields.find(({ envelope }) => envelope);
        if (nested && envelopeField) {
          problems.add(
            node?.type,
            `${type.name}.${field.name}: ${nested.typeName}.${envelopeField.name} is ${envelopeField.source} of the record's envelope, which only a record's own type has`,
          );
        }
        if (field.nonNull && field.value.kind === 'object' && requires(field.value.shape, type.name, new Set())) {
          problems.add(
            node?.type,
            `${type.name}.${field.name} can never be filled: ${type.name} needs itself; make a field on the way nullable`,
          );
        }
      }
    }
  }
}

function objectIn(value: ValueKind): Shape | undefined {
  if (value.kind === 'list') return objectIn(value.of);
  return value.kind === 'object' ? value.shape : undefined;
}

/** Whether every value of `shape` contains one of the type `target`. */
function requires(shape: Shape, target: string, seen: Set<string>): boolean {
  if (shape.typeName === target) return true;
  if (seen.has(shape.typeName)) return false;
  seen.add(shape.typeName);
  return shape.fields.some(
    ({ nonNull, value }) => nonNull && value.kind === 'object' && requires(value.shape, target, seen),
  );
}
