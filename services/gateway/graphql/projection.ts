import type { GraphQLObjectType, SelectionSetNode, ValidatedExecutionArgs } from 'graphql';
import { type Compiler, compileMembers, completeMember, emptyObject, type Member } from './completion.ts';
import type { ErrorFormatter } from './errors.ts';
import { checkText, checkValue, errorsOf, FieldFault, openRun, type Run } from './run.ts';

/** What an operation with one root field makes of an object of its type. Equal operations share one, and its results. */
export interface Projection {
  /**
   * The JSON members of a result without the braces: `"data":{…}`, and `"errors":[…]` where there are any.
   * @throws TooLarge where they would be larger than a result may be.
   */
  members(source: unknown): string;
  /** What it takes to keep it: so many fields have been compiled. */
  readonly fields: number;
}

/** Gives `data` of a source that has every field of its type, each as the type says. @throws TooLarge */
export type Compiled = (source: unknown) => Record<string, unknown>;

export interface CompiledField {
  member: Member;
  /** Without resolvers: what it gives depends on the source alone. */
  plain: boolean;
  fields: number;
}

/**
 * Compiles the one root field of an operation; the source of a result is the field's value.
 * @throws GraphQLError for a variable of a directive that has no value.
 */
export function compileField(
  args: ValidatedExecutionArgs,
  root: GraphQLObjectType,
  set: SelectionSetNode,
): CompiledField | undefined {
  const compiler: Compiler = { args, root, coerces: false, plain: true, fields: 0 };
  const [member] = compileMembers(compiler, root, [set]);
  return member && { member: { ...member, resolve: source => source }, plain: compiler.plain, fields: compiler.fields };
}

export function openProjection(
  { member, fields }: CompiledField,
  contextValue: unknown,
  maxBytes: number,
  format: ErrorFormatter,
): Projection {
  return {
    fields,
    members(source) {
      const run = openRun(contextValue, maxBytes);
      const data = dataOf(member, source, run);
      const errors = errorsOf(run)?.flatMap(error => format(error));
      const members = `"data":${JSON.stringify(data)}`;
      const text = errors ? `"errors":${JSON.stringify(errors)},${members}` : members;
      checkText(run, text);
      return text;
    },
  };
}

/** For a field without resolvers. */
export function compiledData({ member }: CompiledField, maxBytes: number): Compiled {
  return source => {
    const run = openRun(undefined, maxBytes);
    const data = emptyObject();
    data[member.key] = completeMember(member, source, run);
    checkValue(run, data);
    return data;
  };
}

/** Null where the one field is null and can't be. */
function dataOf(member: Member, source: unknown, run: Run): Record<string, unknown> | null {
  try {
    const data = emptyObject();
    data[member.key] = completeMember(member, source, run);
    return data;
  } catch (error) {
    if (!(error instanceof FieldFault)) throw error;
    run.faults.push(error);
    return null;
  }
}
