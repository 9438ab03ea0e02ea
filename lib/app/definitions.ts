import type { DocumentNode } from 'graphql';
import { buildASTSchema, type GraphQLDirective, Kind, parse, Source } from 'graphql';

/** What the gateway adds to every app's schema: the schema language itself, as docs/schema-language.md tells it. */
const text = /* GraphQL */ `
"Subscription: the records of a topic, each as the field's type."
directive @records(topic: String!, scope: Scope! = OWN) on FIELD_DEFINITION

"Mutation, Subscription: the arguments become a command record; its feedback is the result."
directive @command(topic: String!, type: String!, feedback: String!, timeoutMs: Int! = 10000) on FIELD_DEFINITION

"Query: a row of a table, a list of rows, or a Relay connection, newest first."
directive @view(table: String!) on FIELD_DEFINITION

"A table of this type that the projector keeps up to date from topics."
directive @table(name: String!, topics: [String!]!, id: [String!]!, owner: String! = "_key") repeatable on OBJECT

"The record's field, where it has another name than the type's."
directive @from(field: String!) on FIELD_DEFINITION

"What the argument filters; an absent or null argument filters nothing."
directive @where(field: String!, op: Op! = EQ) on ARGUMENT_DEFINITION

"Only callers with one of these roles."
directive @requiresRole(anyOf: [String!]!) on FIELD_DEFINITION | OBJECT

"What a scalar of the app's own is: SafeInt, DateTime or JSON."
directive @scalar(as: String!) on SCALAR

"OWN: records whose key is the caller's user key. ALL: every record."
enum Scope { OWN ALL }

enum Op { EQ NE LT LTE GT GTE CONTAINS IN }
`;

/** The definitions as they are put in front of an app's own. */
export const definitions: DocumentNode = parse(new Source(text, 'the gateway'));

const definingSchema = buildASTSchema(definitions, { assumeValidSDL: true });

/** A directive of ours by its name, to read its arguments with. */
export function directiveNamed(name: string): GraphQLDirective {
  const directive = definingSchema.getDirective(name);
  if (!directive) throw new Error(`no directive @${name} is defined`);
  return directive;
}

/** Names that an app must leave to the gateway. */
export const reservedDirectives: ReadonlySet<string> = namesOf(Kind.DIRECTIVE_DEFINITION);
export const reservedTypes: ReadonlySet<string> = namesOf(Kind.ENUM_TYPE_DEFINITION);

function namesOf(kind: Kind): ReadonlySet<string> {
  return new Set(
    definitions.definitions.flatMap(node =>
      node.kind === kind && 'name' in node && node.name ? [node.name.value] : [],
    ),
  );
}
