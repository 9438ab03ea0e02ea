import type { ArgumentFilter, Op, ValueKind } from '../app/plan.ts';
import type { Parameters } from './statement.ts';
import { storableText } from './storable.ts';

/**
 * One filter as an SQL condition, with the meaning that `compilePredicate` (lib/app) gives it in a stream. Undefined
 * where the argument is absent or null and so filters nothing.
 */
export function filterCondition(
  { field, op }: ArgumentFilter,
  argument: unknown,
  expression: string,
  parameters: Parameters,
): string | undefined {
  if (argument === undefined || argument === null) return undefined;
  const type = comparedAs(field.value);
  if (op === 'IN') {
    const items = (Array.isArray(argument) ? argument : [argument]).filter(item => item !== null && item !== undefined);
    return `${expression} = ANY(${parameters.add(items.map(parameterOf), `${type}[]`)})`;
  }
  const parameter = parameters.add(parameterOf(argument), type);
  return op === 'CONTAINS' ? `strpos(${expression}, ${parameter}) > 0` : `${expression} ${operators[op]} ${parameter}`;
}

const operators: Readonly<Record<Exclude<Op, 'IN' | 'CONTAINS'>, string>> = {
  EQ: '=',
  NE: '<>',
  LT: '<',
  LTE: '<=',
  GT: '>',
  GTE: '>=',
};

/** Whole numbers are compared as bigint, so that an argument beyond the column's own range is no error. */
function comparedAs(value: ValueKind): string {
  switch (value.kind) {
    case 'String':
    case 'ID':
    case 'enum':
      return 'text';
    case 'Int':
    case 'SafeInt':
      return 'bigint';
    case 'Float':
      return 'double precision';
    case 'Boolean':
      return 'boolean';
    case 'DateTime':
      return 'timestamptz';
    case 'JSON':
    case 'list':
    case 'object':
      throw new Error(`a filter can't compare a ${value.kind}`);
  }
}

function parameterOf(value: unknown): unknown {
  return typeof value === 'string' ? storableText(value) : value;
}
