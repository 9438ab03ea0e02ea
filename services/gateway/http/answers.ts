import type { ServerResponse } from 'node:http';
import type { FormattedExecutionResult } from 'graphql';
import { httpStatusOf, PenstockError } from '../../../lib/errors.ts';
import { codeOf, type ErrorFormatter } from '../graphql/errors.ts';
import { HttpRefusal } from './body.ts';
import type { AnswerForm } from './negotiation.ts';

type JsonForm = Exclude<AnswerForm, 'text/event-stream'>;
type Headers = Readonly<Record<string, string>>;

/** `Retry-After` of a 429 is between 1 and this many seconds. */
const limitSpreadSeconds = 5;

/**
 * Returns the status of a result (GraphQL over HTTP, sections 6.4.1 and 6.4.2). `application/json` says 200 to every
 * well-formed request, except where there are too many others (429) or a command is too large (413).
 * `application/graphql-response+json` says 200 only where there is `data`, else what the first error's code stands for.
 */
export function statusOf(result: FormattedExecutionResult, form: JsonForm): number {
  if ('data' in result) return 200;
  const [first] = result.errors ?? [];
  const status = first ? httpStatusOf(codeOf(first), first.extensions) : 500;
  return form === 'application/json' && status !== 429 && status !== 413 ? 200 : status;
}

/** @param unreadMs an answer of which the client takes nothing for so long is given up, ms. */
export function sendResult(
  response: ServerResponse,
  result: FormattedExecutionResult,
  form: JsonForm,
  unreadMs = 20_000,
): void {
  // node:net counts what the client takes, not only what is written: who reads slowly is none of these.
  response.setTimeout(unreadMs, () => response.destroy());
  const status = statusOf(result, form);
  const type = { 'content-type': `${form}; charset=utf-8` };
  sendJson(response, status, JSON.stringify(result), { ...type, ...whenToComeBack(status) });
}

/** Answers a request that never became an operation: every error body is JSON `{"errors":[…]}`. */
export function sendRefusal(response: ServerResponse, error: unknown, format: ErrorFormatter, form?: AnswerForm): void {
  const errors = format(error);
  const code = codeOf(errors[0]);
  const refusal = error instanceof HttpRefusal ? error : undefined;
  const type = form === 'application/graphql-response+json' ? form : 'application/json';
  const status = refusal?.status ?? httpStatusOf(code, errors[0].extensions);
  sendJson(response, status, JSON.stringify({ errors }), {
    'content-type': `${type}; charset=utf-8`,
    ...(code === 'UNAUTHENTICATED' ? challengeFor(error) : {}),
    ...whenToComeBack(status),
    ...refusal?.headers,
  });
}

/** How to authenticate (RFC 6750, section 3). */
function challengeFor(error: unknown): Headers {
  const missing = error instanceof PenstockError && error.extensions.reason === 'missing';
  return { 'www-authenticate': missing ? 'Bearer' : 'Bearer error="invalid_token"' };
}

/** Those that a limit refuses come in crowds, and must not come back as one. */
function whenToComeBack(status: number): Headers {
  if (status === 429) return { 'retry-after': String(1 + Math.floor(Math.random() * limitSpreadSeconds)) };
  return status === 503 ? { 'retry-after': '1' } : {};
}

function sendJson(response: ServerResponse, status: number, body: string, headers: Headers): void {
  if (response.headersSent || response.destroyed) return;
  response
    .writeHead(status, { ...headers, 'content-length': Buffer.byteLength(body), 'cache-control': 'no-store' })
    .end(body);
}
