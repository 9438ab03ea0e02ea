import { hash } from 'node:crypto';
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
import { type Limit, limitExceeded, PenstockError } from '../../../lib/errors.ts';
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
  /** What is remembered, in tokens: those of all documents together, with their texts and the errors of refused ones (100,000). */
  cacheTokens?: number;
}

/** What a token of a syntax tree takes, bytes: 425 by measurement, Node 24. */
const tokenBytes = 500;
/** What a document is counted as besides: projections are remembered with it (selection.ts). */
const entryTokens = 100;
/** A document of more lines gets no places in its errors. */
const mostLines = 2_000;
/** Longer texts are remembered by their SHA-256. */
const longestKey = 4_096;
/** Most errors of a document, and how long their messages may be, characters: a literal may be as long as the request. */
const maxErrors = 20;
const longestMessage = 500;

export function openDocuments(schema: GraphQLSchema, options: DocumentsOptions): Documents {
  const { maxTokens, cacheTokens = 100_000 } = options;
  const remembered = openLru<string, { checked: Checked; weight: number }>(cacheTokens, (_key, { weight }) => weight);
  const limits = limitsRule(options);
  return {
    check(text) {
      const key = text.length <= longestKey ? text : hash('sha256', text);
      const known = remembered.get(key);
      if (known) return known.checked;
      const checked = check(text);
      remembered.set(key, { checked, weight: weightOf(text, checked) });
      return checked;
    },
  };

  function check(text: string): Checked {
    const parsed = parsedOf(text);
    if (parsed instanceof GraphQLError) return { ok: false, errors: [slim(parsed)] };
    // The limits go first: some of the specified rules cost more than linear time.
    const beyond = validate(schema, parsed, [limits]);
    const errors = beyond.length > 0 ? beyond : validate(schema, parsed, specifiedRules, { maxErrors });
    if (errors.length === 0) return { ok: true, document: parsed };
    return { ok: false, errors: errors.map(error => (error.message === givenUp ? tooManyComparisons() : slim(error))) };
  }

  function parsedOf(text: string): DocumentNode | GraphQLError {
    try {
      return parse(text, { maxTokens, noLocation: hasManyLines(text) });
    } catch (error) {
      if (error instanceof RangeError)
        return limitError('PENSTOCK_GATEWAY_MAX_DEPTH', 'the document is nested too deeply');
      if (!(error instanceof GraphQLError)) throw error;
      if (!error.message.includes(tooManyTokens)) return error;
      return limitError('PENSTOCK_GATEWAY_MAX_TOKENS', `the document has more than ${maxTokens} tokens`);
    }
  }
}

/** In tokens. A syntax tree holds on to its text. */
function weightOf({ length }: string, checked: Checked): number {
  const textBytes = 2 * (checked.ok ? length : Math.min(length, longestKey));
  const tokens = checked.ok ? (checked.document.tokenCount ?? 0) : checked.errors.length;
  return entryTokens + tokens + Math.ceil(textBytes / tokenBytes);
}

/** Whether it has more lines than are counted for the places of its errors: graphql-js does so from the top, for each. */
function hasManyLines(text: string): boolean {
  let lines = 0;
  for (const _ of text.matchAll(/\r\n|[\n\r]/g)) if (++lines > mostLines) return true;
  return false;
}

/** graphql-js gives these errors no codes of their own. */
const tooManyTokens = 'Parsing aborted.';
/** Its rule of overlapping fields has spent its budget of comparisons. */
const givenUp = 'Validation aborted.';

function limitError(limit: Limit, why: string): GraphQLError {
  const { message, code, extensions } = limitExceeded(limit, why);
  return new GraphQLError(message, { extensions: { ...extensions, code } });
}

function tooManyComparisons(): GraphQLError {
  const why = 'too many fields of the document have the same name in the result: merge them';
  return limitError('PENSTOCK_GATEWAY_MAX_FIELDS', why);
}

/** Copies an error without the syntax tree and the text that it holds on to. */
function slim({ message, extensions, locations }: GraphQLError): GraphQLError {
  const short = message.length > longestMessage ? `${message.slice(0, longestMessage)}…` : message;
  return Object.assign(new GraphQLError(short, { extensions }), { locations });
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
