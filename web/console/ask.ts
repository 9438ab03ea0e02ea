import { UnauthorizedError } from '@penstock/client';

interface Answer<Data> {
  data?: Data | null;
  errors?: readonly { message: string }[];
}

/** A document, and what it answers (TypedDocumentString). */
interface Asked<Data, Variables> {
  toString(): string;
  __apiType?: (variables: Variables) => Data;
}

/**
 * Asks a gateway a question that it answers for itself.
 * @param partition the one whose owner is to answer; undefined: any gateway. @throws UnauthorizedError; Error with what was answered.
 */
export async function ask<Data, Variables>(
  query: Asked<Data, Variables>,
  variables: Variables,
  getToken: () => string,
  partition?: number,
): Promise<Data> {
  const path = partition === undefined ? '/console/graphql' : `/console/graphql?partition=${partition}`;
  const { data } = await post<Answer<Data>>(path, { query: String(query), variables }, getToken);
  if (data) return data;
  throw new Error('The gateway has no answer.');
}

/** POSTs JSON to the router. @throws UnauthorizedError; Error with the router's words. */
export async function post<Result>(path: string, body: object, getToken: () => string): Promise<Result> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { authorization: `Bearer ${getToken()}`, 'content-type': 'application/json', accept: 'application/json' },
    body: JSON.stringify(body),
  });
  if (response.status === 401) throw new UnauthorizedError('the token does not hold');
  const answer: Result & Answer<unknown> = await response.json();
  const fault = answer.errors?.[0];
  if (fault !== undefined) throw new Error(fault.message);
  return answer;
}
