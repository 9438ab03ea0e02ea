import {
  type GraphQLArgument,
  type GraphQLField,
  getNamedType,
  isEnumType,
  isListType,
  isNonNullType,
  isScalarType,
} from 'graphql';
import { argumentPlace, directivesOn, readDirective } from './directives.ts';
import type { ArgumentFilter, Op, Shape, ShapeField, ValueKind } from './plan.ts';
import type { Place, Problems } from './problems.ts';
import type { AnyOf } from './roles.ts';
import type { ScalarKind } from './scalars.ts';
import { namesOf } from './tables.ts';

type Kind = ValueKind['kind'];

const text: readonly Kind[] = ['String', 'ID'];
const ordered: readonly Kind[] = ['String', 'ID', 'Int', 'SafeInt', 'Float', 'DateTime'];
const listed: readonly Kind[] = [...ordered, 'enum'];
const comparable: readonly Kind[] = [...listed, 'Boolean'];

/** The kinds of fields that an operator can compare. */
const operands: Readonly<Record<Op, { kinds: readonly Kind[]; words: string }>> = {
  EQ: { kinds: comparable, words: 'a scalar or an enum' },
  NE: { kinds: comparable, words: 'a scalar or an enum' },
  IN: { kinds: listed, words: 'a scalar other than Boolean, or an enum' },
  LT: { kinds: ordered, words: 'something that has an order: a number, a text or a DateTime' },
  LTE: { kinds: ordered, words: 'something that has an order: a number, a text or a DateTime' },
  GT: { kinds: ordered, words: 'something that has an order: a number, a text or a DateTime' },
  GTE: { kinds: ordered, words: 'something that has an order: a number, a text or a DateTime' },
  CONTAINS: { kinds: text, words: 'a String or an ID' },
};

/** What an argument may be, by the kind of the field it is compared with. Whole numbers go with every number. */
const fitting: Readonly<Partial<Record<Kind, readonly Kind[]>>> = {
  String: ['String', 'ID'],
  ID: ['ID', 'String'],
  Int: ['Int', 'SafeInt'],
  SafeInt: ['SafeInt', 'Int'],
  Float: ['Float', 'Int', 'SafeInt'],
  DateTime: ['DateTime'],
  Boolean: ['Boolean'],
};

export interface FilterContext {
  scalars: ReadonlyMap<string, ScalarKind>;
  problems: Problems;
  /** Arguments that mean something else and filter nothing. */
  except: ReadonlySet<string>;
  /** What the root field itself asks of its callers. */
  required: readonly AnyOf[];
}

/** The filters of a root field's arguments: by `@where`, else the row's field of the argument's own name. */
export function compileFilters(
  field: GraphQLField<unknown, unknown>,
  shape: Shape,
  rowType: { getFields(): Record<string, GraphQLField<unknown, unknown>> },
  context: FilterContext,
): readonly ArgumentFilter[] {
  return field.args.flatMap(argument => {
    const [where] = directivesOn(argument, 'where');
    if (!where && context.except.has(argument.name)) return [];
    const read = where && readDirective('where', where, context.problems);
    if (where && !read) return [];
    const name = read?.field ?? argument.name;
    const op = read?.op ?? 'EQ';
    const target = shape.fields.find(candidate => candidate.name === name);
    if (!target) {
      // A field that was refused is reported already.
      if (rowType.getFields()[name]) return [];
      const place = where ? argumentPlace(where, 'field') : argument.astNode;
      const advice = where ? '' : '; say with @where what it filters';
      context.problems.add(place, `${shape.typeName} has no field "${name}"${namesOf(shape)}${advice}`);
      return [];
    }
    const filter = { argument: argument.name, field: target, op };
    const opPlace = where ? argumentPlace(where, 'op') : argument.astNode;
    return fits(filter, argument, shape, rowType, opPlace, context) ? [filter] : [];
  });
}

function fits(
  { field, op }: ArgumentFilter,
  argument: GraphQLArgument,
  shape: Shape,
  rowType: { getFields(): Record<string, GraphQLField<unknown, unknown>> },
  opPlace: Place,
  { problems, scalars, required }: FilterContext,
): boolean {
  const at = `${shape.typeName}.${field.name}`;
  const { kinds, words } = operands[op];
  if (!kinds.includes(field.value.kind)) {
    problems.add(opPlace, `${op} compares ${words}, but ${at} is ${describe(field.value)}`);
    return false;
  }
  const typePlace = argument.astNode?.type;
  const inner = isNonNullType(argument.type) ? argument.type.ofType : argument.type;
  if (isListType(inner) !== (op === 'IN')) {
    const wanted = `[${rowTypeName(rowType, field)}!]`;
    problems.add(
      typePlace,
      op === 'IN'
        ? `IN needs a list argument, such as ${wanted}`
        : `${op} needs one value, not a list; a list goes with op: IN`,
    );
    return false;
  }
  const item = isListType(inner) ? (isNonNullType(inner.ofType) ? inner.ofType.ofType : inner.ofType) : inner;
  const ofField = getNamedType(rowType.getFields()[field.name]?.type);
  const sameEnum = isEnumType(item) && item === ofField;
  const kind = isScalarType(item) ? scalars.get(item.name) : undefined;
  if (!sameEnum && !(kind && fitting[field.value.kind]?.includes(kind))) {
    problems.add(typePlace, `${String(item)} can't be compared with ${at}, which is ${rowTypeName(rowType, field)}`);
    return false;
  }
  const hidden =
    field.anyOf.length > 0 &&
    !required.some(anyOf => anyOf.length > 0 && anyOf.every(role => field.anyOf.includes(role)));
  if (hidden) {
    problems.add(
      argument.astNode,
      `${argument.name} would let callers find out ${at}, which needs a role: require it for the whole field too`,
    );
  }
  return !hidden;
}

function rowTypeName(
  rowType: { getFields(): Record<string, GraphQLField<unknown, unknown>> },
  field: ShapeField,
): string {
  return getNamedType(rowType.getFields()[field.name]?.type)?.name ?? field.value.kind;
}

function describe(value: ValueKind): string {
  if (value.kind === 'list') return 'a list';
  if (value.kind === 'object') return `the object type ${value.shape.typeName}`;
  return value.kind === 'enum' ? 'an enum' : value.kind;
}
