import { canonicalDateTime, dateTimeOf } from './date-time.ts';
import { deepestJson, faultOfJson, isJsonObject, type JsonObject } from './json.ts';
import { jsonKind, Misfit } from './misfit.ts';
import type { Shape, ValueKind } from './plan.ts';

/** Turns a value that is there and not null into what a result holds. `depth` counts the objects and lists around it. */
export type ValueReader = (value: unknown, depth: number) => unknown;

/** Fills an object type from a JSON object nested in a record. */
export type ObjectReader = (value: JsonObject, depth: number) => Record<string, unknown> | Misfit;

/** How a nested object type is filled; asked for at the first value, since types may contain each other. */
export type ObjectReaders = (shape: Shape) => ObjectReader;

const wrong = (expected: string, value: unknown): Misfit =>
  new Misfit(`must be ${expected}, but is ${jsonKind(value)}`);

/**
 * A closure for one kind. What comes out: String, ID, enum and DateTime a string (DateTime canonical), numbers a
 * number, JSON as it is, lists arrays, object types plain objects with every field of the type.
 */
export function valueReader(kind: ValueKind, objects: ObjectReaders): ValueReader {
  switch (kind.kind) {
    case 'String':
      return textReader('a string');
    case 'ID':
      return textReader('a string or an integer', value => (Number.isSafeInteger(value) ? String(value) : undefined));
    case 'Boolean':
      return value => (typeof value === 'boolean' ? value : wrong('a boolean', value));
    case 'Int':
      // `| 0` leaves exactly the 32-bit integers as they are.
      return value => (typeof value === 'number' && (value | 0) === value ? value : wrong('a 32-bit integer', value));
    case 'Float':
      return value => (typeof value === 'number' && Number.isFinite(value) ? value : wrong('a finite number', value));
    case 'SafeInt':
      return value => (Number.isSafeInteger(value) ? value : wrong('an integer within ±(2^53 − 1)', value));
    case 'DateTime':
      return value =>
        (typeof value === 'string' ? canonicalDateTime(value) : undefined) ??
        (typeof value === 'number' ? dateTimeOf(value) : undefined) ??
        wrong('an RFC 3339 date-time or milliseconds since 1970', value);
    case 'JSON':
      return (value, depth) => {
        const fault = faultOfJson(value, depth);
        return fault === undefined ? value : new Misfit(fault);
      };
    case 'enum':
      return enumReader(kind.values);
    case 'list':
      return listReader(kind, objects);
    case 'object':
      return objectReader(kind.shape, objects);
  }
}

function textReader(expected: string, other?: (value: unknown) => string | undefined): ValueReader {
  return value => (typeof value === 'string' ? value : (other?.(value) ?? wrong(expected, value)));
}

function enumReader(names: readonly string[]): ValueReader {
  const known: ReadonlySet<unknown> = new Set(names);
  return value => (known.has(value) ? value : new Misfit(`must be one of ${names.join(', ')}`));
}

function listReader(kind: ValueKind & { kind: 'list' }, objects: ObjectReaders): ValueReader {
  const read = valueReader(kind.of, objects);
  const itemNonNull = kind.nonNull;
  return (value, depth) => {
    if (!Array.isArray(value)) return wrong('a list', value);
    if (depth >= deepestJson) return new Misfit(`is nested deeper than ${deepestJson}`);
    const items: unknown[] = [];
    for (const [index, item] of value.entries()) {
      if (item === null || item === undefined) {
        if (itemNonNull) return new Misfit('must not be null', `[${index}]`);
        items.push(null);
        continue;
      }
      const fitted = read(item, depth + 1);
      if (fitted instanceof Misfit) return fitted.under(`[${index}]`);
      items.push(fitted);
    }
    return items;
  };
}

function objectReader(shape: Shape, objects: ObjectReaders): ValueReader {
  let fill: ObjectReader | undefined;
  return (value, depth) => {
    if (!isJsonObject(value)) return wrong('an object', value);
    if (depth >= deepestJson) return new Misfit(`is nested deeper than ${deepestJson}`);
    fill ??= objects(shape);
    return fill(value, depth);
  };
}
