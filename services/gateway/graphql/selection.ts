import {
  BREAK,
  type DocumentNode,
  type FieldNode,
  GraphQLError,
  type GraphQLObjectType,
  getArgumentValues,
  Kind,
  locatedError,
  type ValidatedExecutionArgs,
  validateExecutionArgs,
  validateSubscriptionArgs,
  visit,
} from 'graphql';
import { type AppPlan, allows, type CommandPlan, type StreamPlan } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { type Lru, openLru } from '../lru.ts';
import { collectFields } from './collect.ts';
import { type ErrorFormatter, OperationRefused } from './errors.ts';
import { type Compiled, compiledData, compileField, openProjection, type Projection } from './projection.ts';
import type { Call, GraphqlRequest } from './request.ts';

interface SelectionBase {
  args: Readonly<Record<string, unknown>>;
  /** The field's name in the result. */
  responseName: string;
}

/** The one root field of a subscription. */
export type Selection = SelectionBase & { projection: Projection } & (
    | { kind: 'stream'; plan: StreamPlan }
    | { kind: 'command'; plan: CommandPlan }
  );

/** The one root field of a mutation, where it is simple enough to go without graphql-js. */
export interface CommandSelection extends SelectionBase {
  plan: CommandPlan;
  data: Compiled;
  /** An error as graphql-js reports those of the field. */
  located(error: unknown): GraphQLError;
  /** `data` beside an error. */
  nothing: Record<string, unknown> | null;
}

interface Operation {
  request: GraphqlRequest;
  document: DocumentNode;
}

export interface Selections {
  /** @throws OperationRefused for bad variables or arguments; PenstockError FORBIDDEN. */
  ofSubscription(operation: Operation, call: Pick<Call, 'caller'>): Selection;
  /** Undefined where graphql-js has to execute it. @throws OperationRefused for bad variables. */
  ofMutation(operation: Operation): CommandSelection | undefined;
}

/** Fields of all projections that are remembered for one document. */
const rememberedFields = 256;
/** A key that is longer is not compared. */
const longestKey = 1_024;
/** What a key of that length takes, in fields. */
const keyFields = 4;

/** @param maxBytes of a result. */
export function openSelections(plan: AppPlan, format: ErrorFormatter, maxBytes: number): Selections {
  const { schema } = plan;
  const projections = new WeakMap<DocumentNode, Lru<string, Projection>>();
  const mutations = new WeakMap<DocumentNode, Map<string | undefined, Compiled | undefined>>();
  const subscriptionType = schema.getSubscriptionType();
  const mutationType = schema.getMutationType();

  return {
    ofSubscription({ request, document }, { caller }) {
      const args = validateSubscriptionArgs({
        ...argsOf({ request, document }),
        contextValue: { caller: { roles: caller.roles } },
      });
      if (!('schema' in args)) throw new OperationRefused(args);
      const nodes = subscriptionType ? refusing(() => rootFieldOf(args, subscriptionType)) : [];
      const [node] = nodes;
      if (!node) throw new PenstockError('BAD_USER_INPUT', 'a subscription needs exactly one field');
      const name = node.name.value;
      const chosen = choose(name);
      if (!chosen || !subscriptionType) throw new PenstockError('BAD_USER_INPUT', `${name} is no subscription`);
      if (!allows(chosen.plan, caller))
        throw new PenstockError('FORBIDDEN', `${name} needs a role that you don't have`);
      return {
        ...chosen,
        args: argumentsOf(subscriptionType, node, args),
        responseName: node.alias?.value ?? name,
        projection: remember(document, nodes, request, caller.roles, () => {
          const field = refusing(() => compileField(args, subscriptionType, args.operation.selectionSet));
          if (!field) throw new Error(`${name} is no field of ${subscriptionType}`);
          return openProjection(field, args.contextValue, maxBytes, format);
        }),
      };
    },

    ofMutation(operation) {
      const args = validateExecutionArgs(argsOf(operation));
      if (!('schema' in args)) throw new OperationRefused(args);
      const [node, ...others] = args.operation.selectionSet.selections;
      if (node?.kind !== Kind.FIELD || others.length > 0) return undefined;
      const command = plan.commands.get(`Mutation.${node.name.value}`);
      const data = mutationType && command && compiledMutation(operation, args, mutationType);
      const given = data && argumentsIn(mutationType, node, args);
      if (!given) return undefined;
      const responseName = node.alias?.value ?? node.name.value;
      const isNullable = !String(mutationType.getFields()[node.name.value]?.type).endsWith('!');
      return {
        plan: command,
        args: given,
        responseName,
        data,
        located: error => locatedError(error, [node], [responseName]),
        nothing: isNullable ? { [responseName]: null } : null,
      };
    },
  };

  function argsOf({ request, document }: Operation) {
    return {
      schema,
      document,
      operationName: request.operationName ?? null,
      variableValues: request.variables,
    };
  }

  function choose(name: string) {
    const stream = plan.streams.get(name);
    if (stream) return { kind: 'stream', plan: stream } as const;
    const command = plan.commands.get(`Subscription.${name}`);
    return command && ({ kind: 'command', plan: command } as const);
  }

  function remember(
    document: DocumentNode,
    nodes: readonly FieldNode[],
    { operationName, variables }: GraphqlRequest,
    roles: readonly string[],
    make: () => Projection,
  ): Projection {
    const seen = usesVariables(document, nodes) ? variables : {};
    const key = JSON.stringify([operationName, [...roles].sort(), seen]);
    if (key.length > longestKey) return make();
    let known = projections.get(document);
    if (!known)
      projections.set(document, (known = openLru(rememberedFields, (_key, { fields }) => fields + keyFields)));
    const found = known.get(key);
    if (found) return found;
    const made = make();
    known.set(key, made);
    return made;
  }

  /** Depends on no variable, so that it is compiled once for each operation of a document. */
  function compiledMutation(
    { request, document }: Operation,
    args: ValidatedExecutionArgs,
    root: GraphQLObjectType,
  ): Compiled | undefined {
    let known = mutations.get(document);
    if (!known) mutations.set(document, (known = new Map()));
    if (!known.has(request.operationName)) {
      const field = isPlain(document) ? compileField(args, root, args.operation.selectionSet) : undefined;
      known.set(request.operationName, field?.plain ? compiledData(field, maxBytes) : undefined);
    }
    return known.get(request.operationName);
  }
}

/** Passes on what graphql-js has to say about a document's values. @throws OperationRefused */
function refusing<Result>(work: () => Result): Result {
  try {
    return work();
  } catch (error) {
    throw error instanceof GraphQLError ? new OperationRefused([error]) : error;
  }
}

/** @throws OperationRefused */
function argumentsOf(root: GraphQLObjectType, node: FieldNode, args: ValidatedExecutionArgs) {
  const field = root.getFields()[node.name.value];
  if (!field) throw new Error(`${root.name} has no field ${node.name.value}`);
  return refusing(() => ({ ...getArgumentValues(field, node, args.variableValues) }));
}

/** Undefined where they don't fit: graphql-js reports it at the field. */
function argumentsIn(root: GraphQLObjectType, node: FieldNode, args: ValidatedExecutionArgs) {
  try {
    return argumentsOf(root, node, args);
  } catch (error) {
    if (error instanceof OperationRefused) return undefined;
    throw error;
  }
}

/** Validation has seen to it that all fields are one in the result; they may stand inside fragments. */
function rootFieldOf(args: ValidatedExecutionArgs, root: GraphQLObjectType): readonly FieldNode[] {
  const [nodes = []] = collectFields(args, root, [args.operation.selectionSet]).values();
  return nodes;
}

/** Without directives, whose variables a result would depend on. */
function isPlain(document: DocumentNode): boolean {
  let found = false;
  visit(document, {
    Directive() {
      found = true;
      return BREAK;
    },
  });
  return !found;
}

/** Whether the result depends on variables beyond the root field's arguments, which only filter. */
function usesVariables(document: DocumentNode, roots: readonly FieldNode[]): boolean {
  let found = false;
  const visitor = {
    Variable() {
      found = true;
    },
  };
  for (const root of roots) visit({ ...root, arguments: [] }, visitor);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, visitor);
  }
  return found;
}
