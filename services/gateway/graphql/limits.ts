import { type ASTVisitor, GraphQLError, Kind, type SelectionSetNode, type ValidationContext } from 'graphql';

export interface DocumentLimits {
  /** Deepest selection of an operation; a root field has depth 1. */
  maxDepth: number;
  /** Aliased fields of an operation, each fragment counted as often as it is spread. */
  maxAliases: number;
}

interface Measure {
  depth: number;
  aliases: number;
}

const flat: Measure = { depth: 0, aliases: 0 };

/** A validation rule that refuses operations past the limits with code LIMIT_EXCEEDED. */
export function limitsRule(limits: DocumentLimits): (context: ValidationContext) => ASTVisitor {
  return context => {
    const fragments = new Map<string, Measure>();
    return {
      OperationDefinition(operation) {
        const { depth, aliases } = measure(operation.selectionSet);
        if (depth > limits.maxDepth) report(`the operation is ${depth} levels deep, allowed are ${limits.maxDepth}`);
        if (aliases > limits.maxAliases)
          report(`the operation has ${aliases} aliases, allowed are ${limits.maxAliases}`);

        function report(message: string): void {
          context.reportError(new GraphQLError(message, { nodes: operation, extensions: { code: 'LIMIT_EXCEEDED' } }));
        }
      },
    };

    function measure(set: SelectionSetNode): Measure {
      let depth = 0;
      let aliases = 0;
      for (const selection of set.selections) {
        const inner =
          selection.kind === Kind.FRAGMENT_SPREAD
            ? measureFragment(selection.name.value)
            : selection.selectionSet
              ? measure(selection.selectionSet)
              : flat;
        const isField = selection.kind === Kind.FIELD;
        depth = Math.max(depth, inner.depth + (isField ? 1 : 0));
        aliases += inner.aliases + (isField && selection.alias ? 1 : 0);
      }
      return { depth, aliases };
    }

    /** Each fragment is measured once; a cycle counts as flat here, another rule refuses it. */
    function measureFragment(name: string): Measure {
      const known = fragments.get(name);
      if (known) return known;
      fragments.set(name, flat);
      const fragment = context.getFragment(name);
      const measured = fragment ? measure(fragment.selectionSet) : flat;
      fragments.set(name, measured);
      return measured;
    }
  };
}
