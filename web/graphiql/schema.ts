import { buildClientSchema, type GraphQLSchema, getIntrospectionQuery, type IntrospectionQuery } from 'graphql';
import type { Operation, ShownResult } from './fetcher.ts';

/** As GraphiQL names its own. */
const operationName = 'IntrospectionQuery';

export interface LoadedSchema {
  schema: GraphQLSchema;
  /** What the server has said. */
  result: ShownResult;
}

/** The schema could not be had; the message is for the user. */
export class SchemaError extends Error {
  override readonly name = 'SchemaError';
}

export const isIntrospection = (operation: Operation): boolean => operation.operationName === operationName;

/** Asks the server for its schema. @throws SchemaError; UnauthorizedError. */
export async function loadSchema(post: (operation: Operation) => Promise<ShownResult>): Promise<LoadedSchema> {
  const result = await post({ query: getIntrospectionQuery(), operationName });
  if (!isIntrospected(result.data)) throw new SchemaError(refusal(result));
  return { schema: buildClientSchema(result.data), result };
}

function isIntrospected(data: unknown): data is IntrospectionQuery {
  return typeof data === 'object' && data !== null && '__schema' in data;
}

function refusal({ errors: [error] = [] }: ShownResult): string {
  const message = error?.message ?? 'it answered without a schema';
  const isPassing = ['UNAVAILABLE', 'LIMIT_EXCEEDED'].includes(String(error?.extensions?.code));
  if (isPassing) return `The schema cannot be read now (${message}).`;
  return `The server refuses introspection (${message}), so there are no examples, no completion and no documentation. Documents run all the same.`;
}
