import type { IncomingMessage, ServerResponse } from 'node:http';
import type { AccessTokenVerifier } from '../../../lib/auth/index.ts';
import { PenstockError } from '../../../lib/errors.ts';
import { type Tracer, traceparentOf } from '../../../lib/ops/index.ts';
import type { Engine, Prepared } from '../graphql/engine.ts';
import type { ErrorFormatter } from '../graphql/errors.ts';
import type { Call, GraphqlRequest } from '../graphql/request.ts';
import type { GatewayMetrics } from '../metrics.ts';
import { checkBinding, type Placement } from '../placement.ts';
import { beginOperation, endFailed, endOperation } from '../tracing/operations.ts';
import { sendRefusal, sendResult } from './answers.ts';
import { HttpRefusal, readHttpRequest } from './body.ts';
import { type AnswerForm, acceptedForms } from './negotiation.ts';
import type { Subscriptions } from './subscriptions.ts';

export interface RequestsOptions {
  format: ErrorFormatter;
  accessTokens: AccessTokenVerifier;
  placement: Placement;
  subscriptions: Subscriptions;
  metrics: Pick<GatewayMetrics, 'refusals'>;
  tracer: Tracer | undefined;
  maxRequestBytes: number;
}

/** Serves a schema over HTTP: GraphQL over HTTP, and SSE where that is accepted. Never rejects. */
export type Requests = (request: IncomingMessage, response: ServerResponse, url: URL, engine: Engine) => Promise<void>;

export function openRequests(options: RequestsOptions): Requests {
  const { format, accessTokens, placement, subscriptions, tracer, maxRequestBytes } = options;
  const { refusals } = options.metrics;
  return async (request, response, url, engine) => {
    const forms = acceptedForms(request.headers.accept);
    try {
      await serve([request, response], url, forms, engine);
    } catch (error) {
      const transport = forms[0] === 'text/event-stream' ? 'sse' : 'http';
      if (error instanceof PenstockError) refusals.countErrors([coded(error)], transport);
      if (response.destroyed) return;
      sendRefusal(response, error, format, forms[0]);
    }
  };

  async function serve(
    [request, response]: Exchange,
    url: URL,
    forms: readonly AnswerForm[],
    engine: Engine,
  ): Promise<void> {
    const startedAtMs = tracer && Date.now();
    const caller = await accessTokens.verify(bearerToken(request.headers.authorization));
    const route = await placement.admit(oneHeader(request, 'penstock-route'));
    checkBinding(route, caller);
    if (forms.length === 0) throw new HttpRefusal(406, badInput('no form that is accepted can be had'));
    const graphqlRequest = await readHttpRequest(request, url, maxRequestBytes);
    const gone = new AbortController();
    response.once('close', () => gone.abort());
    if (response.destroyed) gone.abort();
    const outcome = prepared(engine, graphqlRequest);
    const { traceparent: parent } = request.headers;
    const span =
      tracer && !('refused' in outcome)
        ? beginOperation(tracer, outcome, { parent, transport: 'http', startedAtMs })
        : undefined;
    const call: Call = {
      caller,
      traceparent: span?.traceparent ?? traceparentOf(parent),
      span,
      operationId: undefined,
      lastEventId: oneHeader(request, 'last-event-id'),
      signal: gone.signal,
    };
    try {
      await answer([request, response], outcome, call, { engine, forms, routed: route !== undefined });
      span?.end();
    } catch (error) {
      if (span) endFailed(span, error);
      throw error;
    }
  }

  function prepared(engine: Engine, request: GraphqlRequest): Outcome {
    try {
      return engine.prepare(request);
    } catch (refused) {
      return { refused };
    }
  }

  async function answer(
    [request, response]: Exchange,
    outcome: Outcome,
    call: Call,
    { engine, forms, routed }: { engine: Engine; forms: readonly AnswerForm[]; routed: boolean },
  ): Promise<void> {
    const form = 'refused' in outcome ? forms[0] : formOf(outcome, forms);
    if (!('refused' in outcome) && request.method === 'GET' && engine.runsCommand(outcome)) {
      throw new HttpRefusal(405, badInput('a command needs POST'), { allow: 'POST' });
    }
    if (form === 'text/event-stream') return subscriptions.serve(engine, response, outcome, call, routed);
    const result =
      'refused' in outcome
        ? { errors: format(outcome.refused, call.traceparent) }
        : await engine.execute(outcome, call);
    refusals.countErrors(result.errors, 'http');
    sendResult(response, result, form ?? 'application/json');
    if (call.span) endOperation(call.span, result.errors);
  }
}

type Exchange = readonly [IncomingMessage, ServerResponse];

/** A document that is sound, or what refuses it. */
type Outcome = Prepared | { refused: unknown };

/** A subscription needs an event stream; anything else takes one only from who accepts nothing else. */
function formOf({ type }: Prepared, forms: readonly AnswerForm[]): AnswerForm {
  if (type !== 'subscription') return forms.find(form => form !== 'text/event-stream') ?? 'text/event-stream';
  if (forms.includes('text/event-stream')) return 'text/event-stream';
  throw new HttpRefusal(406, badInput('a subscription needs Accept: text/event-stream, or a WebSocket'));
}

function bearerToken(authorization: string | undefined): string | undefined {
  return /^Bearer +(\S+) *$/i.exec(authorization ?? '')?.[1];
}

export function oneHeader(request: IncomingMessage, name: string): string | undefined {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
}

function coded({ code, extensions }: PenstockError) {
  return { extensions: { ...extensions, code } };
}

function badInput(message: string): PenstockError {
  return new PenstockError('BAD_USER_INPUT', message);
}
