import { type ConstDirectiveNode, GraphQLError, getArgumentValues } from 'graphql';
import { directiveNamed } from './definitions.ts';
import type { Op, Scope } from './plan.ts';
import type { Place, Problems } from './problems.ts';

/** The arguments of each directive of ours, defaults applied. */
export interface DirectiveArguments {
  records: { topic: string; scope: Scope };
  command: { topic: string; type: string; feedback: string; timeoutMs: number };
  view: { table: string };
  table: { name: string; topics: readonly string[]; id: readonly string[]; owner: string };
  from: { field: string };
  where: { field: string; op: Op };
  requiresRole: { anyOf: readonly string[] };
  scalar: { as: string };
}

export type DirectiveName = keyof DirectiveArguments;

interface Carrier {
  readonly directives?: readonly ConstDirectiveNode[] | undefined;
}

/** Whatever carries directives: a type with its extensions, a field, an argument. */
export interface Element {
  astNode?: Carrier | null | undefined;
  extensionASTNodes?: readonly Carrier[];
}

export function directivesOn(element: Element, name: DirectiveName): readonly ConstDirectiveNode[] {
  const nodes = [element.astNode, ...(element.extensionASTNodes ?? [])];
  return nodes.flatMap(node => node?.directives ?? []).filter(directive => directive.name.value === name);
}

/** A directive's arguments; undefined, and a problem, where they don't have their types. */
export function readDirective<Name extends DirectiveName>(
  name: Name,
  node: ConstDirectiveNode,
  problems: Problems,
): DirectiveArguments[Name] | undefined {
  try {
    return getArgumentValues(directiveNamed(name), node) as unknown as DirectiveArguments[Name];
  } catch (error) {
    if (!(error instanceof GraphQLError)) throw error;
    problems.addUnlessKnown(error.nodes?.[0] ?? node, error.message);
    return undefined;
  }
}

/** Where an argument of a directive is given; the directive itself where it is left to its default. */
export function argumentPlace(directive: ConstDirectiveNode, name: string): Place {
  return directive.arguments?.find(argument => argument.name.value === name)?.value ?? directive;
}

/** Where an item of a directive's list argument is given. */
export function itemPlace(directive: ConstDirectiveNode, name: string, index: number): Place {
  const value = directive.arguments?.find(argument => argument.name.value === name)?.value;
  return value?.kind === 'ListValue' ? (value.values[index] ?? value) : (value ?? directive);
}
