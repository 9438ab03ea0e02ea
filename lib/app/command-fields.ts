import { type ConstDirectiveNode, type GraphQLField, getNullableType, print } from 'graphql';
import { type Compilation, objectTypeOf } from './compilation.ts';
import { argumentPlace, directivesOn, readDirective } from './directives.ts';
import type { CommandPlan } from './plan.ts';
import { rolesOf } from './roles.ts';

/** A Mutation or Subscription field with `@command`. */
export function compileCommand(
  parent: CommandPlan['parent'],
  field: GraphQLField<unknown, unknown>,
  directive: ConstDirectiveNode,
  compilation: Compilation,
): CommandPlan | undefined {
  const { problems, shapes, topics } = compilation;
  checkArguments(field, compilation);
  const read = readDirective('command', directive, problems);
  if (!read) return undefined;
  topics.mention(read.topic, 'command', argumentPlace(directive, 'topic'));
  topics.mention(read.feedback, 'feedback', argumentPlace(directive, 'feedback'));
  if (read.type.trim() === '') {
    problems.add(
      argumentPlace(directive, 'type'),
      `${field.name}: a command needs a type, by which its handler knows it`,
    );
  }
  if (read.timeoutMs <= 0) {
    problems.add(argumentPlace(directive, 'timeoutMs'), `${field.name}: timeoutMs must be greater than 0`);
  }
  const type = objectTypeOf(field, 'feedback becomes one object', compilation);
  if (!type) return undefined;
  const plan: CommandPlan = {
    parent,
    field: field.name,
    topic: read.topic,
    type: read.type,
    feedback: read.feedback,
    timeoutMs: read.timeoutMs,
    shape: shapes.of(type),
    anyOf: rolesOf(field, problems),
    alsoAnyOf: compilation.alsoAnyOf(type),
  };
  checkTwins(plan, field, directive, compilation);
  return plan;
}

function checkArguments(field: GraphQLField<unknown, unknown>, { problems }: Compilation): void {
  for (const argument of field.args) {
    const [where] = directivesOn(argument, 'where');
    if (where)
      problems.add(where, `${field.name}(${argument.name}:): a command's arguments filter nothing: remove @where`);
    if (argument.name === 'commandId' && String(getNullableType(argument.type)) !== 'ID') {
      problems.add(
        argument.astNode?.type,
        `${field.name}: commandId is the id that makes a command idempotent, so its type must be ID, not ${String(argument.type)}`,
      );
    }
    if (argument.name === 'commandId' && argument.astNode?.defaultValue) {
      problems.add(
        argument.astNode.defaultValue,
        `${field.name}: with a default, all commands of a user would be one and the same: remove it`,
      );
    }
  }
}

/** Fields of one topic and type send the very same command: the handler sees no difference. */
function checkTwins(
  plan: CommandPlan,
  field: GraphQLField<unknown, unknown>,
  directive: ConstDirectiveNode,
  { problems, commandTypes }: Compilation,
): void {
  const key = JSON.stringify([plan.topic, plan.type]);
  const twin = commandTypes.get(key);
  if (!twin) {
    commandTypes.set(key, { plan, field });
    return;
  }
  const other = `${twin.plan.parent}.${twin.plan.field}`;
  if (twin.plan.feedback !== plan.feedback) {
    problems.add(
      argumentPlace(directive, 'feedback'),
      `${plan.parent}.${plan.field} sends the same command as ${other} but awaits its feedback in "${plan.feedback}", not in "${twin.plan.feedback}"`,
    );
  }
  if (signature(twin.field) !== signature(field)) {
    problems.add(
      field.astNode?.name,
      `${plan.parent}.${plan.field} sends the same command as ${other} but has other arguments: make them equal, or give it another type`,
    );
  }
}

function signature(field: GraphQLField<unknown, unknown>): string {
  return field.args
    .filter(({ name }) => name !== 'commandId')
    .map(({ name, type, astNode }) => {
      const byDefault = astNode?.defaultValue;
      return `${name}: ${String(type)}${byDefault ? ` = ${print(byDefault)}` : ''}`;
    })
    .sort()
    .join(', ');
}
