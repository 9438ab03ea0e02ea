import { type FieldNode, GraphQLError, locatedError, type SourceLocation } from 'graphql';
import { type Limit, limitOf, messageOf, PenstockError } from '../../../lib/errors.ts';

/** What the completion of one result has used up and met so far. */
export interface Run {
  readonly contextValue: unknown;
  readonly maxBytes: number;
  /** Characters that the result may still grow by. */
  left: number;
  /** In the order in which they were met. */
  readonly faults: FieldFault[];
}

/** An error of one field, on its way up to where it becomes null: each level puts its key in front. */
export class FieldFault extends Error {
  readonly nodes: readonly FieldNode[];
  readonly path: (string | number)[] = [];
  constructor(cause: unknown, nodes: readonly FieldNode[]) {
    super('a field failed', { cause });
    this.nodes = nodes;
  }
}

/** The result is larger than it may be: nothing of it is used. */
export class TooLarge extends PenstockError {
  constructor(maxBytes: number) {
    const limit: Limit = 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES';
    super('LIMIT_EXCEEDED', `the result has more than ${maxBytes} bytes`, { limit });
  }
}

export function isTooLarge(error: unknown): boolean {
  const limit = error instanceof PenstockError ? limitOf(error.extensions) : undefined;
  return limit === 'PENSTOCK_GATEWAY_MAX_RESPONSE_BYTES';
}

/** What an error is counted as, characters: roughly its text with path and location, and what it costs to make. */
const faultChars = 500;

export function openRun(contextValue: unknown, maxBytes: number): Run {
  return { contextValue, maxBytes, left: maxBytes, faults: [] };
}

/** Counts what has been added to the result; no more than its JSON text has bytes. @throws TooLarge */
export function grow(run: Run, chars: number): void {
  run.left -= chars;
  if (run.left < 0) throw new TooLarge(run.maxBytes);
}

/** Keeps an error of a field that has become null. @throws TooLarge */
export function keep(run: Run, fault: FieldFault): void {
  grow(run, faultChars);
  run.faults.push(fault);
}

/** Undefined where there are none. Thousands of rows may lack the same field, whose place is looked up once. */
export function errorsOf({ faults }: Run): readonly GraphQLError[] | undefined {
  if (faults.length === 0) return undefined;
  const places = new Map<unknown, readonly SourceLocation[]>();
  return faults.map(({ cause, nodes, path }) => {
    const placed = cause instanceof GraphQLError ? cause : nodes;
    const known = places.get(placed);
    if (known) {
      const error = new GraphQLError(messageOf(cause), { path, originalError: cause instanceof Error ? cause : null });
      return Object.assign(error, { locations: known });
    }
    const error = locatedError(cause, nodes, path);
    places.set(placed, error.locations ?? []);
    return error;
  });
}

/** The most bytes of JSON that one character which was counted can be. */
const bytesOfChar = 6;

/** Checks the finished text. While it grows, only characters are counted: some are several bytes. @throws TooLarge */
export function checkText({ maxBytes }: Run, text: string): void {
  if (text.length * 3 <= maxBytes) return;
  if (Buffer.byteLength(text) > maxBytes) throw new TooLarge(maxBytes);
}

/** As {@link checkText}, where the text is made later and by others. @throws TooLarge */
export function checkValue(run: Run, value: unknown): void {
  if ((run.maxBytes - run.left) * bytesOfChar > run.maxBytes) checkText(run, JSON.stringify(value));
}
