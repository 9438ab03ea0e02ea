import {
  type FieldNode,
  type GraphQLLeafType,
  type GraphQLObjectType,
  type GraphQLOutputType,
  type GraphQLResolveInfo,
  getArgumentValues,
  getNullableType,
  isLeafType,
  isListType,
  isNonNullType,
  isObjectType,
  type SelectionSetNode,
  type ValidatedExecutionArgs,
} from 'graphql';
import { collectFields } from './collect.ts';
import { FieldFault, grow, isTooLarge, keep, type Run } from './run.ts';

/** Completes a value as its type says (GraphQL, 6.4.3). @throws whatever makes it null; TooLarge. */
export type Reader = (value: unknown, run: Run) => unknown;

/** One field of a merged selection: what it is called, where its value comes from, and what is made of it. */
export interface Member {
  key: string;
  nodes: readonly FieldNode[];
  nullable: boolean;
  resolve: Reader;
  read: Reader;
  /** The property of its object that it is as it stands: nearly all fields of nearly all events. */
  property: string | undefined;
}

export interface Compiler {
  args: ValidatedExecutionArgs;
  /** Its fields are resolved by the operation's `fieldResolver`; those of other types are properties of their objects. */
  root: GraphQLObjectType;
  /** Scalars of records need no coercion: what is projected has been filled field by field (`fillShape`). */
  coerces: boolean;
  /** Becomes false with a resolver: then the outcome depends on the caller. */
  plain: boolean;
  /** Counts what has been compiled. */
  fields: number;
}

/**
 * Compiles the merged selection of an object, each field of the result once. graphql-js collects the same fields anew for
 * each object, makes an AbortController for each event (15 µs, against 1 for this) and can't be stopped when a result gets
 * too large. Nested resolvers are synchronous: they check roles, or are those of introspection.
 * @throws GraphQLError for a variable of a directive that has no value.
 */
export function compileMembers(
  compiler: Compiler,
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
): Member[] {
  const selected = collectFields(compiler.args, type, sets);
  return [...selected].flatMap(([key, nodes]) => compileMember(compiler, type, key, nodes) ?? []);
}

function compileMember(
  compiler: Compiler,
  parentType: GraphQLObjectType,
  key: string,
  nodes: readonly FieldNode[],
): Member | undefined {
  const { args } = compiler;
  const [node] = nodes;
  const field = node && args.schema.getField(parentType, node.name.value);
  if (!field) return undefined;
  const nullable = !isNonNullType(field.type);
  const read = valueReader(compiler, field.type, nodes, `${parentType}.${field.name}`);
  compiler.fields += 1;
  const { name } = field;
  const isAsItStands = !compiler.coerces && !field.resolve && isLeafType(getNullableType(field.type));
  const member = { key, nodes, nullable, read, property: isAsItStands ? name : undefined };
  if (name === '__typename') return { ...member, resolve: () => parentType.name };
  const resolve = field.resolve ?? (parentType === compiler.root ? args.fieldResolver : undefined);
  if (!resolve) return { ...member, resolve: source => (source as Readonly<Record<string, unknown>>)[name] };
  if (field.resolve) compiler.plain = false;
  const path = { prev: undefined, key, typename: parentType.name };
  const info = {
    ...{ fieldName: name, fieldNodes: nodes, returnType: field.type, parentType, path },
    ...{ schema: args.schema, operation: args.operation },
  } as unknown as GraphQLResolveInfo;
  const given = lazily(() => getArgumentValues(field, node, args.variableValues));
  return { ...member, resolve: (source, run) => resolve(source, given(), run.contextValue, info) };
}

/** Completes the members of one object. @throws FieldFault of a member that can't be null; TooLarge. */
export function completeObject(members: readonly Member[], source: unknown, run: Run): Record<string, unknown> {
  const object: Record<string, unknown> = members.some(({ key }) => key === '__proto__') ? emptyObject() : {};
  let chars = 1;
  for (const member of members) {
    const { key, property } = member;
    const value = property === undefined ? undefined : (source as Readonly<Record<string, unknown>>)[property];
    if (value === undefined || value === null) object[key] = completeMember(member, source, run);
    else {
      object[key] = value;
      chars += key.length + 4 + charsOf(value);
    }
  }
  grow(run, chars);
  return object;
}

export function completeMember(member: Member, source: unknown, run: Run): unknown {
  const { key, resolve, read, nullable, nodes } = member;
  grow(run, key.length + 4);
  const known = run.faults.length;
  try {
    return read(resolve(source, run), run);
  } catch (error) {
    return failed(error, { nullable, nodes, key }, run);
  } finally {
    locate(run, known, key);
  }
}

/** Without a prototype, and slower: an alias may be called `__proto__`. */
export const emptyObject = (): Record<string, unknown> => Object.create(null);

interface Place {
  nullable: boolean;
  nodes: readonly FieldNode[];
  key: string | number;
}

function failed(error: unknown, { nullable, nodes, key }: Place, run: Run): null {
  if (isTooLarge(error)) throw error;
  const fault = error instanceof FieldFault ? error : new FieldFault(error, nodes);
  if (nullable) keep(run, fault);
  else {
    fault.path.unshift(key);
    throw fault;
  }
  return null;
}

/** Puts the key in front of the paths of all errors that were met below it. */
function locate(run: Run, known: number, key: string | number): void {
  const { faults } = run;
  // With quotes and a comma, as it will stand in each error's path.
  grow(run, (faults.length - known) * (String(key).length + 3));
  for (let index = known; index < faults.length; index++) faults[index]?.path.unshift(key);
}

function valueReader(compiler: Compiler, type: GraphQLOutputType, nodes: readonly FieldNode[], what: string): Reader {
  if (isNonNullType(type)) {
    const read = valueReader(compiler, type.ofType, nodes, what);
    return (value, run) => {
      const completed = read(value, run);
      if (completed === null) throw new Error(`Cannot return null for non-nullable field ${what}.`);
      return completed;
    };
  }
  const read = isListType(type)
    ? listReader(compiler, type.ofType, nodes, what)
    : isObjectType(type)
      ? objectReader(compiler, type, nodes)
      : isLeafType(type)
        ? leafReader(compiler, type)
        : never(what);
  return (value, run) => {
    if (value !== null && value !== undefined) return read(value, run);
    grow(run, 4);
    return null;
  };
}

function objectReader(compiler: Compiler, type: GraphQLObjectType, nodes: readonly FieldNode[]): Reader {
  const sets = nodes.flatMap(({ selectionSet }) => selectionSet ?? []);
  const members = compileMembers(compiler, type, sets);
  return (source, run) => completeObject(members, source, run);
}

function listReader(compiler: Compiler, of: GraphQLOutputType, nodes: readonly FieldNode[], what: string): Reader {
  const read = valueReader(compiler, of, nodes, what);
  const nullable = !isNonNullType(of);
  return (value, run) => {
    const completed: unknown[] = [];
    grow(run, 1);
    for (const item of value as Iterable<unknown>) {
      grow(run, 1);
      const known = run.faults.length;
      const key = completed.length;
      try {
        completed.push(read(item, run));
      } catch (error) {
        completed.push(failed(error, { nullable, nodes, key }, run));
      } finally {
        locate(run, known, key);
      }
    }
    return completed;
  };
}

function leafReader({ coerces }: Compiler, type: GraphQLLeafType): Reader {
  return (value, run) => {
    const completed = coerces ? type.coerceOutputValue(value) : value;
    if (completed === null || completed === undefined) throw new Error(`a value of ${type} can't be written`);
    grow(run, charsOf(completed));
    return completed;
  };
}

/** No more than the value's JSON text has bytes, and no less than a fifth of it. */
function charsOf(value: unknown): number {
  if (typeof value === 'string') return value.length + 2;
  if (typeof value === 'object') return JSON.stringify(value).length;
  return typeof value === 'number' && Math.abs(value) < 1_000 && Number.isInteger(value) ? 1 : 3;
}

/** Records and rows have no field of an interface or a union (`lib/app/shapes.ts`). */
function never(what: string): Reader {
  return () => {
    throw new Error(`${what} is of an abstract type`);
  };
}

/** Works it out when it is first asked for; what that throws is thrown each time. */
function lazily<Value>(make: () => Value): () => Value {
  let made: { value: Value } | { error: unknown } | undefined;
  return () => {
    made ??= attempt();
    if ('error' in made) throw made.error;
    return made.value;
  };

  function attempt(): typeof made & object {
    try {
      return { value: make() };
    } catch (error) {
      return { error };
    }
  }
}
