import type { KafkaRecord } from '../kafka/types.ts';
import { envelopeReader, isEnvelopeField } from './envelope.ts';
import { decodeJsonObject, type JsonObject } from './json.ts';
import { Misfit } from './misfit.ts';
import type { Shape, ShapeField } from './plan.ts';
import { type ObjectReader, type ValueReader, valueReader } from './value-readers.ts';

/** An object keyed by GraphQL names, or why a record can't give one. A reason names the field and never quotes a value. */
export type Filled = { ok: true; value: Record<string, unknown> } | { ok: false; reason: string };

/** A shape's fields as closures, made once. Values are the decoded record value, so that any encoding can stand before. */
export interface CompiledShape {
  /** Every field of the type: null where a nullable one is absent, a misfit where a non-null one is. */
  fill(value: JsonObject, record: KafkaRecord): Record<string, unknown> | Misfit;
  /** Only the fields that are there (and the envelope's): an absent one keeps what a table's row has. */
  read(value: JsonObject, record: KafkaRecord): Record<string, unknown> | Misfit;
}

const compiled = new WeakMap<Shape, CompiledShape>();

export function compileShape(shape: Shape): CompiledShape {
  let known = compiled.get(shape);
  if (!known) {
    known = { fill: rootFiller(shape), read: rootPicker(shape) };
    compiled.set(shape, known);
  }
  return known;
}

/**
 * A record as its stream's type. Non-null fields must be there and fit, selected or not; fields that the type does not
 * have are ignored. A tombstone is a misfit too; whoever must tell it apart looks at `record.value` first.
 */
export function fillShape(shape: Shape, record: KafkaRecord): Filled {
  const value = decodeJsonObject(record.value);
  return answer(value instanceof Misfit ? value : compileShape(shape).fill(value, record));
}

/**
 * What a record says about a table's row: the fields that are there. A field that is there must fit; null fits a
 * nullable field only.
 */
export function readFields(shape: Shape, record: KafkaRecord): Filled {
  const value = decodeJsonObject(record.value);
  return answer(value instanceof Misfit ? value : compileShape(shape).read(value, record));
}

function answer(result: Record<string, unknown> | Misfit): Filled {
  return result instanceof Misfit ? { ok: false, reason: result.toString() } : { ok: true, value: result };
}

interface FieldReader {
  name: string;
  nonNull: boolean;
  get(value: JsonObject, record: KafkaRecord): unknown;
  read: ValueReader;
}

function rootFiller(shape: Shape): CompiledShape['fill'] {
  const fields = fieldReaders(shape);
  return (value, record) => fillObject(fields, value, record, 0);
}

function rootPicker(shape: Shape): CompiledShape['read'] {
  const fields = fieldReaders(shape);
  return (value, record) => {
    const row: Record<string, unknown> = {};
    for (const field of fields) {
      const raw = field.get(value, record);
      if (raw === undefined) continue;
      if (raw === null) {
        if (field.nonNull) return new Misfit('must not be null', field.name);
        row[field.name] = null;
        continue;
      }
      const fitted = field.read(raw, 1);
      if (fitted instanceof Misfit) return fitted.under(field.name);
      row[field.name] = fitted;
    }
    return row;
  };
}

/** Sets every field, in the type's order: absent ones would let a resolver find what an object inherits. */
function fillObject(
  fields: readonly FieldReader[],
  value: JsonObject,
  record: KafkaRecord,
  depth: number,
): Record<string, unknown> | Misfit {
  const filled: Record<string, unknown> = {};
  for (const field of fields) {
    const raw = field.get(value, record);
    if (raw === undefined || raw === null) {
      if (field.nonNull) return new Misfit(raw === null ? 'must not be null' : 'is missing', field.name);
      filled[field.name] = null;
      continue;
    }
    const fitted = field.read(raw, depth + 1);
    if (fitted instanceof Misfit) return fitted.under(field.name);
    filled[field.name] = fitted;
  }
  return filled;
}

const nestedReaders = new WeakMap<Shape, ObjectReader>();

function nestedReader(shape: Shape): ObjectReader {
  let reader = nestedReaders.get(shape);
  if (!reader) {
    const fields = fieldReaders(shape);
    reader = (value, depth) => fillObject(fields, value, noRecord, depth);
    nestedReaders.set(shape, reader);
  }
  return reader;
}

/** Nested types have no envelope fields (the compiler sees to it), so nothing reads this. */
const noRecord: KafkaRecord = {
  topic: '',
  partition: 0,
  offset: 0,
  timestampMs: 0,
  key: null,
  value: null,
  headers: {},
};

function fieldReaders(shape: Shape): readonly FieldReader[] {
  return shape.fields.map(field => ({
    name: field.name,
    nonNull: field.nonNull,
    get: getter(field),
    read: valueReader(field.value, nestedReader),
  }));
}

function getter({ source, value }: ShapeField): FieldReader['get'] {
  if (isEnvelopeField(source)) {
    const read = envelopeReader(source, value.kind);
    return (_value, record) => read(record);
  }
  // `constructor` and its like are there on every object.
  if (source in Object.prototype) return object => (Object.hasOwn(object, source) ? object[source] : undefined);
  return object => object[source];
}
