import type { ServerResponse } from 'node:http';
import { type ErrorCode, errorCatalogue, httpStatusOf, PenstockError } from '../../lib/errors.ts';

type Headers = Readonly<Record<string, string>>;

/** A refusal whose HTTP status is not the one of its code in the error catalogue. */
export class HttpRefusal extends PenstockError {
  readonly status: number;
  readonly headers: Headers;

  constructor(status: number, code: ErrorCode, message: string, headers: Headers = {}) {
    super(code, message);
    this.status = status;
    this.headers = headers;
  }
}

export function answerJson(response: ServerResponse, status: number, body: object, headers: Headers = {}): void {
  const text = `${JSON.stringify(body)}\n`;
  response
    .writeHead(status, {
      'content-type': 'application/json; charset=utf-8',
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
      ...headers,
    })
    .end(text);
}

/** Answers with what an error may say: anything but a {@link PenstockError} is masked as INTERNAL. */
export function answerError(response: ServerResponse, thrown: unknown): void {
  const error =
    thrown instanceof PenstockError ? thrown : new PenstockError('INTERNAL', 'something went wrong on our side');
  const status = error instanceof HttpRefusal ? error.status : httpStatusOf(error.code, error.extensions);
  const headers: Record<string, string> = error instanceof HttpRefusal ? { ...error.headers } : {};
  // The rest of the body is not read.
  if (status === 413) headers.connection = 'close';
  if (status === 401) headers['www-authenticate'] = challengeFor(error);
  if (errorCatalogue[error.code].retry === 'later' && status !== 413) headers['retry-after'] ??= retryAfter(error);
  const { retryAfterSeconds: _, ...extensions } = error.extensions;
  answerJson(
    response,
    status,
    { errors: [{ message: error.message, extensions: { code: error.code, ...extensions } }] },
    headers,
  );
}

/** RFC 6750, 3: no error code where there was no token. */
function challengeFor(error: PenstockError): string {
  const { reason } = error.extensions;
  if (reason === undefined || reason === 'missing') return 'Bearer';
  return `Bearer error="invalid_token", error_description="${error.message}"`;
}

function retryAfter({ extensions }: PenstockError): string {
  const { retryAfterSeconds } = extensions;
  return typeof retryAfterSeconds === 'number' ? String(Math.max(1, Math.ceil(retryAfterSeconds))) : '1';
}
