import {
  type DocumentNode,
  type ExecutionResult,
  type FormattedExecutionResult,
  type GraphQLResolveInfo,
  type GraphQLSchema,
  type OperationTypeNode,
  responsePathAsArray,
} from 'graphql';
import { type AppPlan, allows, type CommandPlan } from '../../../lib/app/index.ts';
import { limitExceeded, limitOf, PenstockError } from '../../../lib/errors.ts';
import type { Views } from '../../../lib/views/types.ts';
import type { Commands } from '../commands/commands.ts';
import type { Flow } from '../flow.ts';
import type { Cursors } from '../streams/cursors.ts';
import type { Streams } from '../streams/streams.ts';
import { openReading, type Reading } from '../views.ts';
import { type Documents, operationTypeOf } from './documents.ts';
import { type ErrorFormatter, OperationRefused } from './errors.ts';
import { executeWithin } from './execution.ts';
import { isTooDeep } from './limits.ts';
import type { Call, GraphqlRequest } from './request.ts';
import { rootFields } from './root-fields.ts';
import { type CommandSelection, openSelections } from './selection.ts';

/** A request whose document parsed, validated and has the operation that it names. */
export interface Prepared {
  request: GraphqlRequest;
  document: DocumentNode;
  type: OperationTypeNode;
}

/** What every transport does with a request, once it knows who asks. */
export interface Engine {
  readonly schema: GraphQLSchema;
  /** @throws OperationRefused with the errors of syntax or validation; PenstockError BAD_USER_INPUT. */
  prepare(request: GraphqlRequest): Prepared;
  /** Whether it would change something: it is a mutation, or a subscription that follows a command. */
  runsCommand(prepared: Prepared): boolean;
  /** For queries and mutations; never rejects. Errors are formatted, and masked where they must be. */
  execute(prepared: Prepared, call: Call): Promise<FormattedExecutionResult>;
  /** For subscriptions. Rejects with what refuses it. */
  subscribe(prepared: Prepared, call: Call): Promise<Flow>;
}

/** Resolves a root field of a built-in schema. @throws PenstockError */
export type OwnQuery = (args: Readonly<Record<string, unknown>>, call: Call) => unknown;

export interface EngineParts {
  plan: AppPlan;
  documents: Documents;
  format: ErrorFormatter;
  streams: Streams;
  commands: Commands;
  views: Views;
  cursors: Cursors;
  /** Fields of Query that are no views, by name. */
  queries?: ReadonlyMap<string, OwnQuery>;
  maxDepth: number;
  maxNameLength: number;
  maxResponseBytes: number;
}

/** What resolvers see; the schema's own read `caller.roles`. */
interface ResolverContext extends Call {
  reading: Reading;
}

export function openEngine(parts: EngineParts): Engine {
  const { plan, documents, format, streams, commands, views, cursors, maxNameLength, maxResponseBytes } = parts;
  const { schema } = plan;
  const queryType = schema.getQueryType();
  const selections = openSelections(plan, format, maxResponseBytes);

  return {
    schema,
    prepare(request) {
      const { length } = request.operationName ?? '';
      if (length > maxNameLength) {
        const why = `operationName has ${length} characters, allowed are ${maxNameLength}`;
        throw limitExceeded('PENSTOCK_GATEWAY_MAX_NAME_LENGTH', why);
      }
      if (isTooDeep(request.variables, parts)) {
        throw limitExceeded('PENSTOCK_GATEWAY_MAX_DEPTH', 'a variable is nested too deeply');
      }
      const checked = documents.check(request.query);
      if (!checked.ok) throw new OperationRefused(checked.errors);
      const { document } = checked;
      return { request, document, type: operationTypeOf(document, request.operationName) };
    },
    runsCommand({ document, request, type }) {
      if (type !== 'subscription') return type === 'mutation';
      const names = rootFields(document, request.operationName);
      return [...names].some(name => plan.commands.has(`Subscription.${name}`));
    },
    async execute(prepared, call) {
      if (prepared.type === 'mutation') return mutate(prepared, call);
      return executeAll(prepared, call);
    },
    async subscribe(prepared, call) {
      const selection = selections.ofSubscription(prepared, call);
      if (selection.kind === 'stream') return streams.open(selection, call, prepared.request);
      const { plan, args, responseName, projection } = selection;
      return commands.follow({ plan, args, path: [responseName], call }, projection);
    },
  };

  /** Nearly every mutation is one command: that goes without graphql-js, which costs more than all the rest. */
  async function mutate(prepared: Prepared, call: Call): Promise<FormattedExecutionResult> {
    let selection: CommandSelection | undefined;
    try {
      selection = selections.ofMutation(prepared);
    } catch (error) {
      return { errors: format(error, call.traceparent) };
    }
    if (!selection) return executeAll(prepared, call);
    try {
      const { plan, args, responseName } = selection;
      return { data: selection.data(await command(plan, args, [responseName], call)) };
    } catch (error) {
      const errors = format(selection.located(error), call.traceparent);
      // Of the request as a whole, with a status that says so.
      if (isRefusal(error)) return { errors };
      return { errors, data: selection.nothing };
    }
  }

  async function executeAll(prepared: Prepared, call: Call): Promise<FormattedExecutionResult> {
    const { request, document } = prepared;
    const reading = openReading(views, cursors, call);
    try {
      const contextValue: ResolverContext = { ...call, reading };
      const operation = {
        schema,
        document,
        operationName: request.operationName ?? null,
        variableValues: request.variables,
        contextValue,
        fieldResolver: resolveField,
      };
      const result = await executeWithin(operation, maxResponseBytes);
      const cursor = await reading.cursor();
      return formatted(result, call.traceparent, cursor);
    } catch (error) {
      return { errors: format(error, call.traceparent) };
    } finally {
      await reading.close();
    }
  }

  /** For root fields. */
  function resolveField(
    _source: unknown,
    args: Readonly<Record<string, unknown>>,
    context: ResolverContext,
    info: GraphQLResolveInfo,
  ): unknown {
    const name = info.fieldName;
    if (info.parentType === queryType) {
      const view = plan.views.get(name);
      if (view) return context.reading.read(view, args);
      return parts.queries?.get(name)?.(args, context) ?? null;
    }
    const found = plan.commands.get(`Mutation.${name}`);
    return found ? command(found, { ...args }, responsePathAsArray(info.path), context) : null;
  }

  async function command(
    found: CommandPlan,
    args: Readonly<Record<string, unknown>>,
    path: readonly (string | number)[],
    call: Call,
  ): Promise<Readonly<Record<string, unknown>>> {
    if (!allows(found, call.caller)) {
      throw new PenstockError('FORBIDDEN', `${found.field} needs a role that you don't have`);
    }
    return commands.send({ plan: found, args, path, call });
  }

  function formatted(result: ExecutionResult, traceparent: string, cursor: string | undefined) {
    const { errors, ...rest } = result;
    return {
      ...(errors && { errors: errors.flatMap(error => format(error, traceparent)) }),
      ...rest,
      ...(cursor !== undefined && { extensions: { cursor } }),
    };
  }
}

/** Returns whether a limit refused the command, before it began, or its answer, when its effect stands. */
function isRefusal(error: unknown): boolean {
  return error instanceof PenstockError && limitOf(error.extensions) !== undefined;
}
