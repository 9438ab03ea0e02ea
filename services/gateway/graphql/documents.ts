import {
  type DocumentNode,
  GraphQLError,
  type GraphQLSchema,
  getOperationAST,
  type OperationTypeNode,
  parse,
  specifiedRules,
  validate,
} from 'graphql';
import { PenstockError } from '../../../lib/errors.ts';
import { openLru } from '../lru.ts';
import { type DocumentLimits, limitsRule } from './limits.ts';

/** A document that parsed and validated, or why it did not. */
export type Checked = { ok: true; document: DocumentNode } | { ok: false; errors: readonly GraphQLError[] };

export interface Documents {
  /** Parses and validates, or remembers that it did: equal texts are checked once. */
  check(text: string): Checked;
}

export interface DocumentsOptions extends DocumentLimits {
  /** Most lexical tokens of a document. */
  maxTokens: number;
  /** Documents remembered (500), and how long they may be (4,096): a syntax tree is many times as large as its text. */
  cacheEntries?: number;
  cachedChars?: number;
}

export function openDocuments(schema: GraphQLSchema, options: DocumentsOptions): Documents {
  const { maxTokens, cacheEntries = 500, cachedChars = 4_096 } = options;
  const remembered = openLru<string, Checked>(cacheEntries);
  const limits = limitsRule(options);
  return {
    check(text) {
      const known = remembered.get(text);
      if (known) return known;
      const checked = check(text);
      if (text.length <= cachedChars) remembered.set(text, checked);
      return checked;
    },
  };

  function check(text: string): Checked {
    let document: DocumentNode;
    try {
      document = parse(text, { maxTokens });
    } catch (error) {
      if (!(error instanceof GraphQLError)) throw error;
      return { ok: false, errors: [error.message.includes(tooManyTokens) ? limitError(maxTokens) : error] };
    }
    // The limits go first: some of the specified rules cost more than linear time.
    const beyond = validate(schema, document, [limits]);
    const errors = beyond.length > 0 ? beyond : validate(schema, document, specifiedRules, { maxErrors: 20 });
    return errors.length > 0 ? { ok: false, errors } : { ok: true, document };
  }
}

/** graphql-js gives this error no code of its own. */
const tooManyTokens = 'Parsing aborted.';

function limitError(maxTokens: number): GraphQLError {
  return new GraphQLError(`the document has more than ${maxTokens} tokens`, { extensions: { code: 'LIMIT_EXCEEDED' } });
}

/** @throws PenstockError BAD_USER_INPUT when the document has no such operation, or several and none was named. */
export function operationTypeOf(document: DocumentNode, operationName: string | undefined): OperationTypeNode {
  const operation = getOperationAST(document, operationName);
  if (operation) return operation.operation;
  throw new PenstockError(
    'BAD_USER_INPUT',
    operationName === undefined
      ? 'the document has several operations or none: operationName must name one'
      : `the document has no operation ${JSON.stringify(operationName)}`,
  );
}
