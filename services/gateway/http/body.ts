import type { IncomingMessage } from 'node:http';
import { limitExceeded, PenstockError } from '../../../lib/errors.ts';
import { type GraphqlRequest, readRequest } from '../graphql/request.ts';

/** A request that HTTP itself refuses, with the status that says so. */
export class HttpRefusal extends PenstockError {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;

  constructor(status: number, error: PenstockError, headers: Readonly<Record<string, string>> = {}) {
    super(error.code, error.message, error.extensions, error);
    this.status = status;
    this.headers = headers;
  }
}

/**
 * The GraphQL request of a GET or POST (GraphQL over HTTP).
 * @throws HttpRefusal 400 for what is malformed, 405 for other methods, 413 for a body that is too large, 415 for one
 *   that isn't JSON.
 */
export async function readHttpRequest(request: IncomingMessage, url: URL, maxBytes: number): Promise<GraphqlRequest> {
  if (request.method === 'GET') return readGet(url.searchParams);
  if (request.method !== 'POST') {
    throw new HttpRefusal(405, badInput('only GET and POST are served here'), { allow: 'GET, POST' });
  }
  const type = request.headers['content-type']?.split(';')[0]?.trim().toLowerCase();
  if (type !== 'application/json') throw new HttpRefusal(415, badInput('the body must be application/json'));
  const body = await readBody(request, maxBytes);
  return wellFormed(() => readRequest(parseJson(body, 'the body')));
}

function readGet(parameters: URLSearchParams): GraphqlRequest {
  return wellFormed(() =>
    readRequest({
      query: parameters.get('query') ?? undefined,
      operationName: parameters.get('operationName'),
      variables: optionalJson(parameters, 'variables'),
      extensions: optionalJson(parameters, 'extensions'),
    }),
  );
}

function optionalJson(parameters: URLSearchParams, name: string): unknown {
  const text = parameters.get(name);
  return text === null || text === '' ? null : parseJson(text, name);
}

function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw badInput(`${what} must be JSON`);
  }
}

function wellFormed(read: () => GraphqlRequest): GraphqlRequest {
  try {
    return read();
  } catch (error) {
    throw error instanceof PenstockError ? new HttpRefusal(400, error) : error;
  }
}

function badInput(message: string): PenstockError {
  return new PenstockError('BAD_USER_INPUT', message);
}

async function readBody(request: IncomingMessage, maxBytes: number): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  const tooLarge = () =>
    new HttpRefusal(
      413,
      limitExceeded('PENSTOCK_GATEWAY_MAX_REQUEST_BYTES', `the request is larger than ${maxBytes} bytes`),
      { connection: 'close' },
    );
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  for await (const chunk of request as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size > maxBytes) throw tooLarge();
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
