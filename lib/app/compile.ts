import {
  type ConstDirectiveNode,
  type GraphQLField,
  type GraphQLObjectType,
  isNonNullType,
  isObjectType,
} from 'graphql';
import { buildApp } from './build.ts';
import { compileCommand } from './command-fields.ts';
import type { Compilation } from './compilation.ts';
import { directivesOn } from './directives.ts';
import { checkPlacement } from './placement.ts';
import type { AppPlan, CommandPlan, StreamPlan, ViewPlan } from './plan.ts';
import { Problems, SchemaError } from './problems.ts';
import { type AnyOf, guardFields, rolesOf } from './roles.ts';
import { openShapes } from './shapes.ts';
import { compileStream } from './streams.ts';
import { compileTables } from './tables.ts';
import { openTopics } from './topics.ts';
import { compileView } from './view-fields.ts';

const resolving = ['view', 'command', 'records'] as const;

/**
 * Compiles an app's schema into its plan. Pure.
 * @param source `name` is the file's name, for messages; `body` the SDL.
 * @param options.resolvedElsewhere fields of Query that whoever executes the plan resolves itself: a built-in schema has such.
 * @throws SchemaError with everything that contradicts itself, in the order of the text.
 */
export function compileApp(
  source: { name: string; body: string },
  { resolvedElsewhere = new Set() }: { resolvedElsewhere?: ReadonlySet<string> } = {},
): AppPlan {
  const problems = new Problems(source.name);
  const { schema, scalars } = buildApp(source, problems);
  const query = objectType(schema.getQueryType());
  const mutation = objectType(schema.getMutationType());
  const subscription = objectType(schema.getSubscriptionType());
  const roots = [query, mutation, subscription];
  const isRoot = (type: GraphQLObjectType) => roots.includes(type);
  const shapes = openShapes(scalars, isRoot, problems);
  const topics = openTopics(problems);
  const compilation = (root: GraphQLObjectType): Compilation => ({
    problems,
    shapes,
    topics,
    scalars,
    isRoot,
    alsoAnyOf: type => [rolesOf(root, problems), rolesOf(type, problems)].filter((anyOf: AnyOf) => anyOf.length > 0),
    commandTypes,
  });
  const commandTypes: Compilation['commandTypes'] = new Map();
  const streams = new Map<string, StreamPlan>();
  const commands = new Map<string, CommandPlan>();
  const views = new Map<string, ViewPlan>();

  checkPlacement(schema, isRoot, problems);
  const tables = compileTables(schema, isRoot, shapes, topics, problems);
  for (const field of fieldsOf(query)) {
    if (resolvedElsewhere.has(field.name)) continue;
    const directive = theOne(field, ['view'], problems);
    const view = query && directive && compileView(field, directive, tables, compilation(query));
    if (view) views.set(field.name, view);
  }
  for (const [parent, root] of [
    ['Mutation', mutation],
    ['Subscription', subscription],
  ] as const) {
    for (const field of fieldsOf(root)) {
      const directive = theOne(field, parent === 'Mutation' ? ['command'] : ['records', 'command'], problems);
      if (!root || !directive) continue;
      if (directive.name.value === 'records') {
        const stream = compileStream(field, directive, compilation(root));
        if (stream) streams.set(field.name, stream);
      } else {
        const command = compileCommand(parent, field, directive, compilation(root));
        if (command) commands.set(`${parent}.${field.name}`, command);
      }
    }
  }
  shapes.finish();
  guardFields(schema, problems);
  if (problems.any) throw new SchemaError(problems.sorted());
  return { schema, topics: topics.plans(), streams, commands, views, tables };
}

/** Where GraphQL has refused a root type, it may be anything. */
function objectType(root: GraphQLObjectType | null | undefined): GraphQLObjectType | undefined {
  return isObjectType(root) ? root : undefined;
}

function fieldsOf(root: GraphQLObjectType | undefined): readonly GraphQLField<unknown, unknown>[] {
  return root ? Object.values(root.getFields()) : [];
}

/** The directive that says what a root field does; exactly one of `allowed`. */
function theOne(
  field: GraphQLField<unknown, unknown>,
  allowed: readonly (typeof resolving)[number][],
  problems: Problems,
): ConstDirectiveNode | undefined {
  const found = resolving.flatMap(name => directivesOn(field, name).map(node => ({ name, node })));
  const fitting = found
    .filter(({ name }) => allowed.includes(name))
    .sort((a, b) => (a.node.loc?.start ?? 0) - (b.node.loc?.start ?? 0));
  const choice = allowed.map(name => `@${name}`).join(' or ');
  for (const { name, node } of found) {
    if (!allowed.includes(name)) problems.add(node, `${field.name}: @${name} has no place here, only ${choice}`);
  }
  if (fitting.length > 1) {
    problems.add(
      fitting[1]?.node,
      `${field.name} has both ${choice.replace(' or ', ' and ')}: it can only be one of them`,
    );
  }
  if (found.length === 0 && !isPlaceholder(field, allowed)) {
    problems.add(
      field.astNode?.name,
      `${field.name} has no directive that says where its result comes from: add ${choice}`,
    );
  }
  return fitting.length === 1 ? fitting[0]?.node : undefined;
}

/** `type Query { _: Boolean }`, for apps without views: GraphQL asks for a query type with a field. It is always null. */
function isPlaceholder(field: GraphQLField<unknown, unknown>, allowed: readonly string[]): boolean {
  return field.name === '_' && allowed.includes('view') && field.args.length === 0 && !isNonNullType(field.type);
}
