import { type DocumentNode, getOperationAST, Kind, type SelectionSetNode } from 'graphql';

/** Returns the names of an operation's root fields, those in fragments included; each fragment is looked into once. */
export function rootFields(document: DocumentNode, operationName: string | undefined): ReadonlySet<string> {
  const names = new Set<string>();
  const spread = new Set<string>();
  const operation = getOperationAST(document, operationName);
  if (operation) collect(operation.selectionSet);
  return names;

  function collect({ selections }: SelectionSetNode): void {
    for (const selection of selections) {
      if (selection.kind === Kind.FIELD) names.add(selection.name.value);
      else if (selection.kind === Kind.INLINE_FRAGMENT) collect(selection.selectionSet);
      else if (!spread.has(selection.name.value)) collectFragment(selection.name.value);
    }
  }

  function collectFragment(name: string): void {
    spread.add(name);
    for (const node of document.definitions) {
      if (node.kind === Kind.FRAGMENT_DEFINITION && node.name.value === name) collect(node.selectionSet);
    }
  }
}
