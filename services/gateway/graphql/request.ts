import { z } from 'zod';
import type { Caller } from '../../../lib/auth/types.ts';
import { PenstockError } from '../../../lib/errors.ts';
import type { Span } from '../../../lib/ops/index.ts';

const jsonObject = z.record(z.string(), z.unknown());

const requestSchema = z.object({
  query: z.string(),
  operationName: z.string().nullish(),
  variables: jsonObject.nullish(),
  extensions: jsonObject.nullish(),
});

/** A GraphQL request, whichever way it came. */
export interface GraphqlRequest {
  query: string;
  operationName: string | undefined;
  variables: Readonly<Record<string, unknown>>;
  extensions: Readonly<Record<string, unknown>>;
}

/** Who asks, and in which context. The schema's resolvers read `caller.roles`. */
export interface Call {
  caller: Caller;
  /** W3C Trace Context, to hand on. */
  traceparent: string;
  /** Of the operation; undefined where nothing is traced. */
  span?: Span | undefined;
  /** The operation's id on a WebSocket. */
  operationId: string | undefined;
  /** `Last-Event-ID` of an SSE request. */
  lastEventId: string | undefined;
  /** Aborted when the client wants no answer any more, or has gone: what waits ends, and nothing further begins. */
  signal: AbortSignal;
}

/** @throws PenstockError BAD_USER_INPUT naming the member that has the wrong type. */
export function readRequest(body: unknown): GraphqlRequest {
  const parsed = requestSchema.safeParse(body);
  if (!parsed.success) {
    const [issue] = parsed.error.issues;
    const where = issue?.path[0];
    throw new PenstockError(
      'BAD_USER_INPUT',
      where === undefined ? 'the request must be a JSON object' : `${String(where)}: ${issue?.message}`,
    );
  }
  const { query, operationName, variables, extensions } = parsed.data;
  return {
    query,
    operationName: operationName ?? undefined,
    variables: variables ?? {},
    extensions: extensions ?? {},
  };
}
