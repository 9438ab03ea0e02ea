import { coerceInputLiteral, coerceInputValue, type GraphQLArgument, isRequiredArgument } from 'graphql';
import { isJsonObject } from './json.ts';
import type { AppPlan, CommandPlan } from './plan.ts';

/**
 * A field's coerced arguments as one stable text, to bind a cursor to: keys sorted at every depth, null and absent the
 * same (they filter nothing alike). Coercion has applied defaults and made DateTimes canonical before.
 */
export function canonicalArguments(fieldName: string, args: Readonly<Record<string, unknown>>): string {
  return JSON.stringify([fieldName, canonical(args)]);
}

function canonical(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(canonical);
  if (typeof value !== 'object' || value === null) return value;
  const entries = Object.entries(value).filter(([, item]) => item !== undefined && item !== null);
  return Object.fromEntries(
    entries.sort(([a], [b]) => (a < b ? -1 : 1)).map(([name, item]) => [name, canonical(item)]),
  );
}

/** The commands of each topic by their type (`ce_type`). Fields that share both are one: the first stands for all. */
export function commandTypes(plan: AppPlan): ReadonlyMap<string, ReadonlyMap<string, CommandPlan>> {
  const topics = new Map<string, Map<string, CommandPlan>>();
  for (const command of plan.commands.values()) {
    const types = topics.get(command.topic) ?? new Map<string, CommandPlan>();
    topics.set(command.topic, types);
    if (!types.has(command.type)) types.set(command.type, command);
  }
  return topics;
}

export type CheckedArguments =
  | { ok: true; arguments: Record<string, unknown> }
  | { ok: false /** Names arguments and types, never values. */; reason: string };

/**
 * Checks a command record's JSON against its field's arguments, as the gateway has for those that it sent itself.
 * Defaults are applied; members that are no arguments are left out.
 */
export function validateArguments(plan: AppPlan, command: CommandPlan, json: unknown): CheckedArguments {
  if (!isJsonObject(json)) return { ok: false, reason: 'the arguments are not a JSON object' };
  const checked: Record<string, unknown> = {};
  for (const argument of argumentsOf(plan, command)) {
    const raw = Object.hasOwn(json, argument.name) ? json[argument.name] : undefined;
    if (raw === undefined) {
      if (isRequiredArgument(argument)) return { ok: false, reason: `argument ${argument.name} is missing` };
      const byDefault = argument.astNode?.defaultValue;
      if (byDefault) checked[argument.name] = coerceInputLiteral(byDefault, argument.type);
      continue;
    }
    const coerced = coerceInputValue(raw, argument.type);
    if (coerced === undefined) {
      return { ok: false, reason: `argument ${argument.name} does not fit its type ${String(argument.type)}` };
    }
    checked[argument.name] = coerced;
  }
  return { ok: true, arguments: checked };
}

function argumentsOf(plan: AppPlan, command: CommandPlan): readonly GraphQLArgument[] {
  const root = command.parent === 'Mutation' ? plan.schema.getMutationType() : plan.schema.getSubscriptionType();
  return root?.getFields()[command.field]?.args ?? [];
}
