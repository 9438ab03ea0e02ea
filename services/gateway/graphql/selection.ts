import {
  type DocumentNode,
  executeSubscriptionEvent,
  type FieldNode,
  GraphQLError,
  getArgumentValues,
  Kind,
  type SelectionSetNode,
  type ValidatedSubscriptionArgs,
  validateSubscriptionArgs,
  visit,
} from 'graphql';
import { type AppPlan, allows, type CommandPlan, type StreamPlan } from '../../../lib/app/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { type Lru, openLru } from '../lru.ts';
import { type ErrorFormatter, OperationRefused } from './errors.ts';
import type { Call, GraphqlRequest } from './request.ts';

/** What a subscription makes of an object of its field's type. Equal subscriptions share one, and so its results. */
export interface Projection {
  /** The JSON members of a result without the braces: `"data":{…}`, and `"errors":[…]` where there are any. */
  members(source: unknown): string;
}

interface SelectionBase {
  args: Readonly<Record<string, unknown>>;
  /** The field's name in the result. */
  responseName: string;
  projection: Projection;
}

/** The one root field of a subscription. */
export type Selection =
  | (SelectionBase & { kind: 'stream'; plan: StreamPlan })
  | (SelectionBase & { kind: 'command'; plan: CommandPlan });

export interface Selections {
  /** @throws OperationRefused for bad variables or arguments; PenstockError FORBIDDEN. */
  of(subscription: { request: GraphqlRequest; document: DocumentNode }, call: Pick<Call, 'caller'>): Selection;
}

/** Projections remembered for one document; what is longer than this is not compared. */
const remembered = 256;
const longestKey = 4_096;

export function openSelections(plan: AppPlan, format: ErrorFormatter): Selections {
  const projections = new WeakMap<DocumentNode, Lru<string, Projection>>();
  const fields = plan.schema.getSubscriptionType()?.getFields() ?? {};

  return {
    of({ request, document }, { caller }) {
      const args = validateSubscriptionArgs({
        schema: plan.schema,
        document,
        operationName: request.operationName ?? null,
        variableValues: request.variables,
        contextValue: { caller: { roles: caller.roles } },
      });
      if (!('schema' in args)) throw new OperationRefused(args);
      const node = rootFieldOf(args);
      const name = node.name.value;
      const field = fields[name];
      const chosen = choose(name);
      if (!chosen || !field) throw new PenstockError('BAD_USER_INPUT', `${name} is no field of a subscription`);
      if (!allows(chosen.plan, caller))
        throw new PenstockError('FORBIDDEN', `${name} needs a role that you don't have`);
      return {
        ...chosen,
        args: { ...getArgumentValues(field, node, args.variableValues) },
        responseName: node.alias?.value ?? name,
        projection: projectionOf(document, node, args, request, caller.roles),
      };
    },
  };

  function choose(name: string) {
    const stream = plan.streams.get(name);
    if (stream) return { kind: 'stream', plan: stream } as const;
    const command = plan.commands.get(`Subscription.${name}`);
    return command && ({ kind: 'command', plan: command } as const);
  }

  function projectionOf(
    document: DocumentNode,
    node: FieldNode,
    args: ValidatedSubscriptionArgs,
    { operationName, variables }: GraphqlRequest,
    roles: readonly string[],
  ): Projection {
    const seen = usesVariables(document, node) ? variables : {};
    const key = JSON.stringify([operationName, [...roles].sort(), seen]);
    if (key.length > longestKey) return openProjection(node.name.value, args, format);
    let known = projections.get(document);
    if (!known) projections.set(document, (known = openLru(remembered)));
    const found = known.get(key);
    if (found) return found;
    const made = openProjection(node.name.value, args, format);
    known.set(key, made);
    return made;
  }
}

function openProjection(name: string, args: ValidatedSubscriptionArgs, format: ErrorFormatter): Projection {
  const event = { ...args };
  return {
    members(source) {
      event.rootValue = { [name]: source };
      const result = executeSubscriptionEvent(event);
      if (result instanceof Promise || !('data' in result)) throw new Error(`${name} did not resolve at once`);
      const data = `"data":${JSON.stringify(result.data)}`;
      if (!result.errors) return data;
      return `"errors":${JSON.stringify(result.errors.flatMap(error => format(error)))},${data}`;
    },
  };
}

/** Validation has seen to it that there is exactly one, perhaps inside fragments. */
function rootFieldOf({ operation, fragments }: ValidatedSubscriptionArgs): FieldNode {
  const found = firstField(operation.selectionSet);
  if (found) return found;
  throw new GraphQLError('a subscription needs exactly one field', { nodes: operation });

  function firstField(set: SelectionSetNode): FieldNode | undefined {
    for (const selection of set.selections) {
      if (selection.kind === Kind.FIELD) return selection;
      const inner =
        selection.kind === Kind.INLINE_FRAGMENT
          ? selection.selectionSet
          : fragments[selection.name.value]?.definition.selectionSet;
      const field = inner && firstField(inner);
      if (field) return field;
    }
    return undefined;
  }
}

/** Whether the result depends on variables beyond the root field's arguments, which only filter. */
function usesVariables(document: DocumentNode, root: FieldNode): boolean {
  let found = false;
  const visitor = {
    Variable() {
      found = true;
    },
  };
  visit({ ...root, arguments: [] }, visitor);
  for (const definition of document.definitions) {
    if (definition.kind === Kind.FRAGMENT_DEFINITION) visit(definition, visitor);
  }
  return found;
}
