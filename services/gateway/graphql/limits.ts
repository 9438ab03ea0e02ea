import {
  type ASTNode,
  type ASTVisitFn,
  type ASTVisitor,
  BREAK,
  GraphQLError,
  Kind,
  type NameNode,
  type SelectionSetNode,
  type ValidationContext,
} from 'graphql';
import { type Limit, limitExceeded } from '../../../lib/errors.ts';

export interface DocumentLimits {
  /** Deepest selection of an operation; a root field has depth 1. */
  maxDepth: number;
  /** Aliased fields of an operation, each fragment counted as often as it is spread. */
  maxAliases: number;
  /** Fields of an operation or of a fragment, each fragment counted as often as it is spread. */
  maxFields: number;
  /** Longest name or alias, characters. */
  maxNameLength: number;
}

/** Fields and aliases of fragments that double each other soon pass 2^53; they saturate at Infinity, which every limit refuses. */
interface Measure {
  depth: number;
  aliases: number;
  fields: number;
}

const flat: Measure = { depth: 0, aliases: 0, fields: 0 };

/** Braces and brackets within each other, values and inline fragments included, for each level of fields. */
const nestingOfLevel = 10;
/** Whether lists and objects of a value stand within each other deeper than those of a document may. */
export function isTooDeep(value: unknown, { maxDepth }: Pick<DocumentLimits, 'maxDepth'>): boolean {
  let level: unknown[] = [value];
  for (let depth = 0; level.length > 0; depth++) {
    if (depth > maxDepth * nestingOfLevel) return true;
    // Level by level: recursion would run out of stack, as does JSON.stringify.
    level = level.flatMap(item => (typeof item === 'object' && item !== null ? Object.values(item) : []));
  }
  return false;
}

/** Nodes and lists of nodes of a syntax tree for one pair of braces. */
const ancestorsOfNesting = 3;

/** A validation rule that refuses a document past the limits, with one error of code LIMIT_EXCEEDED. */
export function limitsRule(limits: DocumentLimits): (context: ValidationContext) => ASTVisitor {
  return context => {
    const fragments = new Map<string, Measure>();
    return {
      SelectionSet: nested,
      ListValue: nested,
      ObjectValue: nested,
      ListType: nested,
      Name: node => nameOf(node, node.value),
      EnumValue: node => nameOf(node, node.value),
      OperationDefinition: node => judge(node, 'the operation', measure(node.selectionSet)),
      // Also one that no operation spreads: the rules behind this one look at it all the same.
      FragmentDefinition: node => judge(node, `the fragment ${shortened(node.name)}`, measureFragment(node.name.value)),
    };

    function judge(node: ASTNode, what: string, { depth, aliases, fields }: Measure) {
      if (depth > limits.maxDepth) {
        return refuse(node, 'PENSTOCK_GATEWAY_MAX_DEPTH', `${what} is ${depth} levels deep`, limits.maxDepth);
      }
      if (aliases > limits.maxAliases) {
        return refuse(node, 'PENSTOCK_GATEWAY_MAX_ALIASES', `${what} has ${aliases} aliases`, limits.maxAliases);
      }
      if (fields > limits.maxFields) {
        return refuse(node, 'PENSTOCK_GATEWAY_MAX_FIELDS', `${what} has ${fields} fields`, limits.maxFields);
      }
      return undefined;
    }

    function nameOf(node: ASTNode, { length }: string) {
      if (length <= limits.maxNameLength) return undefined;
      return refuse(node, 'PENSTOCK_GATEWAY_MAX_NAME_LENGTH', `a name has ${length} characters`, limits.maxNameLength);
    }

    /** What goes through syntax trees by recursion must not run out of stack. */
    function nested(...[node, , , , { length }]: Parameters<ASTVisitFn<ASTNode>>) {
      if (length <= limits.maxDepth * nestingOfLevel * ancestorsOfNesting) return undefined;
      return refuse(node, 'PENSTOCK_GATEWAY_MAX_DEPTH', 'the document is nested too deeply', limits.maxDepth);
    }

    function refuse(node: ASTNode, limit: Limit, what: string, allowed: number) {
      const { message, code, extensions } = limitExceeded(limit, `${what}, allowed are ${allowed}`);
      context.reportError(new GraphQLError(message, { nodes: node, extensions: { ...extensions, code } }));
      return BREAK;
    }

    function measure(set: SelectionSetNode): Measure {
      let depth = 0;
      let aliases = 0;
      let fields = 0;
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
        fields += inner.fields + (isField ? 1 : 0);
      }
      return { depth, aliases, fields };
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

function shortened({ value }: NameNode): string {
  return value.length > 40 ? `${value.slice(0, 40)}…` : value;
}
