import {
  buildASTSchema,
  type DefinitionNode,
  type DocumentNode,
  type GraphQLArgument,
  GraphQLError,
  type GraphQLInputField,
  type GraphQLSchema,
  isInputObjectType,
  isInputType,
  isInterfaceType,
  isObjectType,
  isTypeDefinitionNode,
  isTypeSystemDefinitionNode,
  isTypeSystemExtensionNode,
  Kind,
  parse,
  Source,
  specifiedScalarTypes,
  validateSchema,
  visit,
} from 'graphql';
// Not re-exported from the package's root: its root only offers variants that throw without positions.
import { validateSDL } from 'graphql/validation/validate.js';
import { definitions, reservedDirectives, reservedTypes } from './definitions.ts';
import { type Problems, SchemaError } from './problems.ts';
import { installScalars, type ScalarKind } from './scalars.ts';

export interface BuiltSchema {
  schema: GraphQLSchema;
  /** What each scalar is, by its name. */
  scalars: ReadonlyMap<string, ScalarKind>;
}

/**
 * Parses an app's text and builds it together with our definitions. Goes on after a problem wherever something can
 * still be said about the rest.
 * @throws SchemaError where nothing more can be said.
 */
export function buildApp(source: { name: string; body: string }, problems: Problems): BuiltSchema {
  const own = parseOwn(source, problems);
  const document: DocumentNode = { ...own, definitions: [...definitions.definitions, ...own.definitions] };
  for (const error of validateSDL(document)) problems.addError(explained(error));
  const unknown = unknownTypes(document);
  try {
    const schema = buildASTSchema(withPlaceholders(document, unknown), { assumeValidSDL: true });
    const scalars = installScalars(schema, problems, unknown);
    dropMisplacedDefaults(schema);
    for (const error of validateSchema(schema)) problems.addError(explained(error));
    return { schema, scalars };
  } catch (error) {
    if (error instanceof GraphQLError) problems.addError(error);
    else if (!problems.any) throw error;
    throw new SchemaError(problems.sorted());
  }
}

/** The app's definitions, without those that only the gateway may make. */
function parseOwn(source: { name: string; body: string }, problems: Problems): DocumentNode {
  let document: DocumentNode;
  try {
    document = parse(new Source(source.body, source.name));
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    problems.addError(error);
    throw new SchemaError(problems.sorted());
  }
  return { ...document, definitions: document.definitions.filter(node => !refused(node, problems)) };
}

function refused(node: DefinitionNode, problems: Problems): boolean {
  if (!isTypeSystemDefinitionNode(node) && !isTypeSystemExtensionNode(node)) {
    problems.add(node, 'an operation or fragment has no place in a schema: remove it');
    return true;
  }
  if (!('name' in node)) return false;
  const name = node.name.value;
  const isDirective = node.kind === Kind.DIRECTIVE_DEFINITION || node.kind === Kind.DIRECTIVE_EXTENSION;
  if (isDirective ? reservedDirectives.has(name) : reservedTypes.has(name)) {
    problems.add(node.name, `${isDirective ? `directive @${name}` : `type ${name}`} is the gateway's own: remove it`);
    return true;
  }
  if (!isDirective && specifiedScalarTypes.some(type => type.name === name)) {
    problems.add(node.name, `type ${name} is GraphQL's own: remove it`);
    return true;
  }
  return false;
}

/** Names that are used but not defined. They are reported once, and then stand for "anything". */
function unknownTypes(document: DocumentNode): ReadonlySet<string> {
  const known = new Set(specifiedScalarTypes.map(type => type.name));
  for (const node of document.definitions) if (isTypeDefinitionNode(node)) known.add(node.name.value);
  const unknown = new Set<string>();
  visit(document, {
    NamedType(node) {
      if (!known.has(node.name.value) && !node.name.value.startsWith('__')) unknown.add(node.name.value);
    },
  });
  return unknown;
}

function withPlaceholders(document: DocumentNode, names: ReadonlySet<string>): DocumentNode {
  if (names.size === 0) return document;
  const placeholders = parse([...names].map(name => `scalar ${name}`).join('\n'), { noLocation: true });
  return { ...document, definitions: [...document.definitions, ...placeholders.definitions] };
}

/** graphql-js 17.1 throws on a default of what is no input type, before it can say that it is none. */
function dropMisplacedDefaults(schema: GraphQLSchema): void {
  for (const type of Object.values(schema.getTypeMap())) {
    if (isInputObjectType(type)) Object.values(type.getFields()).forEach(drop);
    else if (isObjectType(type) || isInterfaceType(type)) {
      for (const field of Object.values(type.getFields())) field.args.forEach(drop);
    }
  }
  for (const directive of schema.getDirectives()) directive.args.forEach(drop);

  function drop(input: GraphQLArgument | GraphQLInputField): void {
    if (!isInputType(input.type)) input.default = undefined;
  }
}

/** Says what to do where graphql-js only says what is wrong. */
function explained(error: GraphQLError): GraphQLError {
  const scalar = /^Unknown type "(SafeInt|DateTime|JSON)"/.exec(error.message)?.[1];
  const advice = scalar
    ? `declare it: scalar ${scalar}`
    : error.message === 'Query root type must be provided.'
      ? 'GraphQL asks for one; an app without views writes: type Query { _: Boolean }'
      : undefined;
  if (!advice) return error;
  return new GraphQLError(`${error.message} (${advice})`, {
    nodes: error.nodes ?? null,
    source: error.source ?? null,
    positions: error.positions ?? null,
  });
}
