import {
  type ConstValueNode,
  GraphQLError,
  type GraphQLScalarType,
  type GraphQLSchema,
  isScalarType,
  isSpecifiedScalarType,
  Kind,
  print,
  type ValueNode,
  valueFromASTUntyped,
} from 'graphql';
import { canonicalDateTime, dateTimeOf } from './date-time.ts';
import { argumentPlace, directivesOn, readDirective } from './directives.ts';
import { faultOfJson } from './json.ts';
import type { Problems } from './problems.ts';

export type ScalarKind = 'String' | 'ID' | 'Boolean' | 'Int' | 'Float' | 'SafeInt' | 'DateTime' | 'JSON';

/** The scalars that this project adds to GraphQL's five. */
const ours = ['SafeInt', 'DateTime', 'JSON'] as const;
type OurKind = (typeof ours)[number];

/**
 * Finds out what each scalar of the schema is, and gives those of ours their coercion. One that a problem is reported
 * for counts as JSON; `unknown` ones (names that nothing defines) are left out of the answer.
 */
export function installScalars(
  schema: GraphQLSchema,
  problems: Problems,
  unknown: ReadonlySet<string>,
): ReadonlyMap<string, ScalarKind> {
  const kinds = new Map<string, ScalarKind>();
  for (const type of Object.values(schema.getTypeMap())) {
    if (!isScalarType(type)) continue;
    if (isSpecifiedScalarType(type)) kinds.set(type.name, type.name as ScalarKind);
    else if (!unknown.has(type.name)) {
      const kind = kindOf(type, problems);
      kinds.set(type.name, kind);
      install(type, kind);
    }
  }
  return kinds;
}

function kindOf(type: GraphQLScalarType, problems: Problems): OurKind {
  const byName = ours.find(name => name === type.name);
  const [directive] = directivesOn(type, 'scalar');
  if (!directive) {
    if (!byName) problems.add(type.astNode, `scalar ${type.name}: say what it is with @scalar(as: ${choice()})`);
    return byName ?? 'JSON';
  }
  const read = readDirective('scalar', directive, problems);
  if (!read) return byName ?? 'JSON';
  const said = ours.find(name => name === read.as);
  if (!said) {
    problems.add(argumentPlace(directive, 'as'), `@scalar(as: "${read.as}") is not known: use ${choice()}`);
  } else if (byName && byName !== said) {
    problems.add(argumentPlace(directive, 'as'), `scalar ${type.name} can't be a ${said}: give it another name`);
  }
  return said ?? byName ?? 'JSON';
}

const choice = (): string => `"${ours[0]}", "${ours[1]}" or "${ours[2]}"`;

interface Coercion {
  output(value: unknown): unknown;
  input(value: unknown): unknown;
  literal(node: ValueNode): unknown;
}

/** Sets both the names of graphql 17 and the older ones, which other libraries still call. */
function install(type: GraphQLScalarType, kind: OurKind): void {
  const coercion = coercions[kind](type.name);
  type.coerceOutputValue = coercion.output;
  type.serialize = coercion.output;
  type.coerceInputValue = coercion.input;
  type.parseValue = coercion.input;
  type.coerceInputLiteral = (node: ConstValueNode) => coercion.literal(node);
  type.parseLiteral = (node, variables) =>
    kind === 'JSON' ? valueFromASTUntyped(node, variables) : coercion.literal(node);
}

/** By kind; `name` is what the app calls the scalar, for messages. */
const coercions: Readonly<Record<OurKind, (name: string) => Coercion>> = {
  SafeInt: name => {
    const check = (value: unknown): number => {
      if (typeof value === 'number' && Number.isSafeInteger(value)) return value;
      throw new GraphQLError(`${name} must be an integer within ±(2^53 − 1), not ${nameOf(value)}`);
    };
    return {
      output: check,
      input: check,
      literal(node) {
        const value = node.kind === Kind.INT ? Number(node.value) : Number.NaN;
        if (Number.isSafeInteger(value)) return value;
        throw new GraphQLError(`${name} must be an integer within ±(2^53 − 1), not ${print(node)}`, { nodes: node });
      },
    };
  },
  DateTime: name => {
    const refuse = (what: string, nodes?: ValueNode): never => {
      throw new GraphQLError(`${name} must be an RFC 3339 date-time such as 2026-07-31T10:00:00Z, not ${what}`, {
        nodes: nodes ?? null,
      });
    };
    return {
      output: value =>
        (typeof value === 'string' ? canonicalDateTime(value) : undefined) ??
        (typeof value === 'number' ? dateTimeOf(value) : undefined) ??
        (value instanceof Date ? dateTimeOf(value.getTime()) : undefined) ??
        refuse(nameOf(value)),
      input: value => (typeof value === 'string' ? canonicalDateTime(value) : undefined) ?? refuse(nameOf(value)),
      literal: node =>
        (node.kind === Kind.STRING ? canonicalDateTime(node.value) : undefined) ?? refuse(print(node), node),
    };
  },
  JSON: name => {
    const check = (value: unknown): unknown => {
      const fault = faultOfJson(value);
      if (fault === undefined) return value;
      throw new GraphQLError(`${name} ${fault}`);
    };
    return { output: check, input: check, literal: node => check(valueFromASTUntyped(node)) };
  },
};

/** Short, and safe to show to the caller who sent it. */
function nameOf(value: unknown): string {
  if (typeof value === 'number') return String(value);
  if (typeof value === 'string') return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
  if (value === null) return 'null';
  return Array.isArray(value) ? 'a list' : `a value of type ${typeof value}`;
}
