import {
  type ExecutionArgs,
  type ExecutionResult,
  GraphQLError,
  OperationTypeNode,
  validateExecutionArgs,
} from 'graphql';
import { type Compiler, compileMembers, completeMember, emptyObject, type Member } from './completion.ts';
import { checkValue, errorsOf, FieldFault, openRun } from './run.ts';

/**
 * Executes a query or a mutation as graphql-js's `execute` does, but stops as soon as the result is larger than it may be.
 * `fieldResolver` gives the values of root fields, below them a field is a property of its object.
 * @throws TooLarge; whatever `abortSignal` was aborted with.
 */
export async function executeWithin(args: ExecutionArgs, maxBytes: number): Promise<ExecutionResult> {
  const validated = validateExecutionArgs(args);
  if (!('schema' in validated)) return { errors: validated };
  const { schema, operation, contextValue, rootValue, externalAbortSignal } = validated;
  const root = schema.getRootType(operation.operation);
  if (!root) return { errors: [new GraphQLError(`there are no operations of type ${operation.operation}`)] };
  const compiler: Compiler = { args: validated, root, coerces: true, plain: true, fields: 0 };
  let members: Member[];
  try {
    members = compileMembers(compiler, root, [operation.selectionSet]);
  } catch (error) {
    if (error instanceof GraphQLError) return { errors: [error], data: null };
    throw error;
  }
  const run = openRun(contextValue, maxBytes);
  const data = emptyObject();
  try {
    if (operation.operation === OperationTypeNode.MUTATION) {
      for (const member of members) await complete(member, begin(member));
    } else {
      // All begin before the first is waited for.
      const begun = members.map(member => ({ member, value: begin(member) }));
      for (const { member, value } of begun) await complete(member, value);
    }
  } catch (error) {
    if (!(error instanceof FieldFault)) throw error;
    run.faults.push(error);
    return { errors: errorsOf(run) ?? [], data: null };
  }
  checkValue(run, data);
  const errors = errorsOf(run);
  return errors ? { errors, data } : { data };

  function begin({ resolve }: Member): Promise<Settled> {
    externalAbortSignal?.throwIfAborted();
    return settle(() => resolve(rootValue, run));
  }

  async function complete(member: Member, value: Promise<Settled>): Promise<void> {
    const source = await value;
    externalAbortSignal?.throwIfAborted();
    data[member.key] = completeMember({ ...member, resolve: unsettled }, source, run);
  }
}

type Settled = { value: unknown } | { error: unknown };

async function settle(work: () => unknown): Promise<Settled> {
  try {
    return { value: await work() };
  } catch (error) {
    return { error };
  }
}

function unsettled(settled: unknown): unknown {
  const result = settled as Settled;
  if ('error' in result) throw result.error;
  return result.value;
}
