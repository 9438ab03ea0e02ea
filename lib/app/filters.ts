import {
  type GraphQLArgument,
  type GraphQLField,
  type GraphQLObjectType,
  getNamedType,
  isEnumType,
  isListType,
  isNonNullType,
  isScalarType,
} from 'graphql';
import type { Compilation } from './compilation.ts';
import { argumentPlace, directivesOn, readDirective } from './directives.ts';
import type { ArgumentFilter, Op, Shape, ShapeField, ValueKind } from './plan.ts';
import type { Place } from './problems.ts';
import type { AnyOf } from './roles.ts';
import { namesOf } from './tables.ts';

type Kind = ValueKind['kind'];

const text: readonly Kind[] = ['String', 'ID'];
const ordered: readonly Kind[] = ['String', 'ID', 'Int', 'SafeInt', 'Float', 'DateTime'];
const listed: readonly Kind[] = [...ordered, 'enum'];
const comparable: readonly Kind[] = [...listed, 'Boolean'];
const inOrder = { kinds: ordered, words: 'what has an order: a number, a text or a DateTime' };

/** The kinds of fields that an operator can compare. */
const operands: Readonly<Record<Op, { kinds: readonly Kind[]; words: string }>> = {
  EQ: { kinds: comparable, words: 'a scalar other than JSON, or an enum' },
  NE: { kinds: comparable, words: 'a scalar other than JSON, or an enum' },
  IN: { kinds: listed, words: 'a scalar other than Boolean and JSON, or an enum' },
  LT: inOrder,
  LTE: inOrder,
  GT: inOrder,
  GTE: inOrder,
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

/** What the arguments of one root field filter. */
export interface FilterTarget {
  shape: Shape;
  /** The type behind the shape. */
  type: GraphQLObjectType;
  /** Arguments that page, and filter nothing. */
  paging: ReadonlySet<string>;
  /** What the root field itself asks of its callers. */
  required: readonly AnyOf[];
}

/** The filters of a root field's arguments: by `@where`, else the row's field of the argument's own name. */
export function compileFilters(
  field: GraphQLField<unknown, unknown>,
  target: FilterTarget,
  compilation: Compilation,
): readonly ArgumentFilter[] {
  return field.args.flatMap(argument => {
    const filter = filterOf(argument, target, compilation);
    return filter ? [filter] : [];
  });
}

function filterOf(
  argument: GraphQLArgument,
  target: FilterTarget,
  compilation: Compilation,
): ArgumentFilter | undefined {
  const { problems } = compilation;
  const [where] = directivesOn(argument, 'where');
  if (target.paging.has(argument.name)) {
    if (where) problems.add(where, `${argument.name} pages through a connection and can't filter: remove @where`);
    return undefined;
  }
  const read = where && readDirective('where', where, problems);
  if (where && !read) return undefined;
  const name = read?.field ?? argument.name;
  const op = read?.op ?? 'EQ';
  const field = target.shape.fields.find(candidate => candidate.name === name);
  if (!field) {
    // One that the type has was refused for a reason of its own.
    if (target.type.getFields()[name]) return undefined;
    const place = where ? argumentPlace(where, 'field') : argument.astNode;
    const advice = where ? '' : '; say with @where what the argument filters';
    problems.add(place, `${target.type.name} has no field "${name}"${namesOf(target.type)}${advice}`);
    return undefined;
  }
  const filter = { argument: argument.name, field, op };
  const fault =
    faultOfOperator(filter, target, where ? argumentPlace(where, 'op') : argument.astNode) ??
    faultOfArgument(argument, filter, target, compilation) ??
    faultOfRoles(argument, field, target);
  if (!fault) return filter;
  problems.add(fault.place, fault.message);
  return undefined;
}

interface Fault {
  place: Place;
  message: string;
}

function faultOfOperator({ field, op }: ArgumentFilter, target: FilterTarget, place: Place): Fault | undefined {
  const { kinds, words } = operands[op];
  if (kinds.includes(field.value.kind)) return undefined;
  return {
    place,
    message: `${op} compares ${words}, but ${target.type.name}.${field.name} is ${describe(field.value)}`,
  };
}

function faultOfArgument(
  argument: GraphQLArgument,
  { field, op }: ArgumentFilter,
  { type }: FilterTarget,
  { scalars }: Compilation,
): Fault | undefined {
  const place = argument.astNode?.type;
  const fieldType = getNamedType(type.getFields()[field.name]?.type);
  const inner = isNonNullType(argument.type) ? argument.type.ofType : argument.type;
  if (isListType(inner) !== (op === 'IN')) {
    const message = isListType(inner)
      ? `${op} compares with one value, not with a list: for a list, say op: IN`
      : `IN compares with a list: make it [${String(fieldType)}!]`;
    return { place, message };
  }
  const item = isListType(inner) ? (isNonNullType(inner.ofType) ? inner.ofType.ofType : inner.ofType) : inner;
  if (isEnumType(item) && item === fieldType) return undefined;
  if (isScalarType(item)) {
    const kind = scalars.get(item.name);
    // Without a kind it is a name that nothing defines: reported already.
    if (!kind || fitting[field.value.kind]?.includes(kind)) return undefined;
  }
  const message = `${String(item)} can't be compared with ${type.name}.${field.name}, which is ${String(fieldType)}`;
  return { place, message };
}

/** Who may not read a field could else find out its value by asking for it. */
function faultOfRoles(argument: GraphQLArgument, field: ShapeField, target: FilterTarget): Fault | undefined {
  if (field.anyOf.length === 0) return undefined;
  const implied = target.required.some(anyOf => anyOf.length > 0 && anyOf.every(role => field.anyOf.includes(role)));
  if (implied) return undefined;
  return {
    place: argument.astNode,
    message: `${argument.name} would let callers find out ${target.type.name}.${field.name}, which needs a role: require it for the operation's field too`,
  };
}

function describe(value: ValueKind): string {
  if (value.kind === 'list') return 'a list';
  if (value.kind === 'object') return `the object type ${value.shape.typeName}`;
  return value.kind === 'enum' ? 'an enum' : value.kind;
}
