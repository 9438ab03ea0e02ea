import {
  type FieldNode,
  type FragmentDefinitionNode,
  GraphQLIncludeDirective,
  type GraphQLObjectType,
  type GraphQLSchema,
  GraphQLSkipDirective,
  getDirectiveValues,
  type InlineFragmentNode,
  isAbstractType,
  Kind,
  type SelectionNode,
  type SelectionSetNode,
  type ValidatedExecutionArgs,
} from 'graphql';

/**
 * Groups the fields of some selection sets of one object by their key in the result, in order (GraphQL, 6.3.2
 * CollectFields). A fragment that is spread again adds nothing, so that the work is linear in the document, whatever
 * spreads what. @throws GraphQLError for a variable of `@skip` or `@include` that has no value.
 */
export function collectFields(
  args: ValidatedExecutionArgs,
  type: GraphQLObjectType,
  sets: readonly SelectionSetNode[],
): Map<string, FieldNode[]> {
  const selected = new Map<string, FieldNode[]>();
  const visited = new Set<string>();
  for (const set of sets) visit(set);
  return selected;

  function visit(set: SelectionSetNode): void {
    for (const selection of set.selections) {
      if (!isIncluded(args, selection)) continue;
      if (selection.kind === Kind.FIELD) {
        const key = selection.alias?.value ?? selection.name.value;
        const nodes = selected.get(key);
        if (nodes) nodes.push(selection);
        else selected.set(key, [selection]);
        continue;
      }
      const fragment = selection.kind === Kind.INLINE_FRAGMENT ? selection : fragmentOf(selection.name.value);
      if (fragment && applies(args.schema, fragment, type)) visit(fragment.selectionSet);
    }
  }

  /** Undefined where it is in already. */
  function fragmentOf(name: string): FragmentDefinitionNode | undefined {
    if (visited.has(name)) return undefined;
    visited.add(name);
    return args.fragments[name]?.definition;
  }
}

function isIncluded({ variableValues }: ValidatedExecutionArgs, selection: SelectionNode): boolean {
  if (!selection.directives || selection.directives.length === 0) return true;
  if (getDirectiveValues(GraphQLSkipDirective, selection, variableValues)?.if === true) return false;
  return getDirectiveValues(GraphQLIncludeDirective, selection, variableValues)?.if !== false;
}

function applies(
  schema: GraphQLSchema,
  { typeCondition }: FragmentDefinitionNode | InlineFragmentNode,
  type: GraphQLObjectType,
): boolean {
  if (!typeCondition) return true;
  const condition = schema.getType(typeCondition.name.value);
  return condition === type || (isAbstractType(condition) && schema.isSubType(condition, type));
}
