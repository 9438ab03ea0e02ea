import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { AccessTokenVerifier } from '../../lib/auth/index.ts';
import { PenstockError } from '../../lib/errors.ts';
import type { Logger, Tracer } from '../../lib/ops/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';
import { HttpRefusal } from './answers.ts';
import { askOwners } from './ask-owners.ts';
import { readBody } from './body.ts';
import { attemptAt, type FrontState, type Passage } from './front.ts';
import type { GatewayProxy } from './gateway-proxy.ts';
import { answerHeaders, httpHeaders } from './headers.ts';
import type { Outcome, RouterMetrics } from './metrics.ts';
import type { OriginReader } from './origins/client-origin.ts';
import { bearerToken, type RequestTarget, withoutParameter } from './request-target.ts';
import { beginTrace, endWithAnswer, endWithHeaders, type RequestTrace } from './request-trace.ts';
import type { RouteMinter } from './route-minter.ts';

export interface GraphqlHttpParts {
  access: AccessTokenVerifier;
  owners: OwnerTable;
  partitionFor(userKey: string): number;
  minter: RouteMinter;
  proxy: GatewayProxy;
  origin: OriginReader;
  metrics: RouterMetrics;
  tracer: Tracer | undefined;
  log: Logger;
  state: FrontState;
  maxRequestBytes: number;
  ownerWaitMs: number;
}

export type HttpHandler = (request: IncomingMessage, response: ServerResponse, target: RequestTarget) => Promise<void>;

/** `/graphql` over HTTP: verified, buffered, and sent to the owner of the caller's partition; answers stream through. */
export function graphqlHttp(parts: GraphqlHttpParts): HttpHandler {
  const { access, owners, partitionFor, minter, proxy, origin, metrics, tracer, log, state } = parts;

  const route = async (
    request: IncomingMessage,
    response: ServerResponse,
    { path, query }: RequestTarget,
    trace: RequestTrace,
  ): Promise<void> => {
    const { traceparent } = trace;
    const gone = new AbortController();
    response.once('close', () => gone.abort('closed'));
    const caller = await access.verify(bearerToken(request.headers.authorization));
    const partition = partitionFor(caller.userKey);
    const body =
      request.method === 'POST'
        ? await readBody(request, parts.maxRequestBytes, 'PENSTOCK_GATEWAY_MAX_REQUEST_BYTES')
        : Buffer.alloc(0);

    const incoming: IncomingHttpHeaders = request.headers;
    const { address, secure } = origin(incoming, request.socket.remoteAddress);
    const rest = withoutParameter(query, 'route');
    const onAnswer = (gateway: string, answer: IncomingMessage): void => {
      // What is written replaces a header of the same name that is set already, and both have something to say here.
      const vary = response.getHeader('vary');
      const headers = [...answerHeaders(answer.rawHeaders), ...(vary === undefined ? [] : ['vary', String(vary)])];
      response.writeHead(answer.statusCode ?? 502, answer.statusMessage ?? '', headers);
      // An event stream may be silent for long: its client wants to know that it is open.
      response.flushHeaders();
      const passage = { gateway, ...passOn(answer, response, () => state.passages.delete(passage)) };
      if (answer.headers['content-type']?.startsWith('text/event-stream') !== true) return;
      endWithHeaders(trace, response);
      state.passages.add(passage);
      if (state.draining) passage.leave();
    };

    const asked = await askOwners(
      {
        partition,
        owners,
        waitMs: parts.ownerWaitMs,
        clientGone: gone.signal,
        onWaited: metrics.unownedWait,
      },
      async owner => {
        const routeToken = owner.standsIn ? undefined : await minter.mint(caller, partition, owner.epoch);
        const router = { routeToken, traceparent, clientAddress: address, secure };
        // http-proxy sends what it finds on the request itself.
        request.url = rest === '' ? path : `${path}?${rest}`;
        request.headers = httpHeaders(
          incoming,
          router,
          request.method === 'POST' ? body.length : undefined,
        ) as IncomingHttpHeaders;
        return attemptAt(state, owner.address, gatewayDead =>
          proxy.forward(request, response, body, owner.address, { clientGone: gone.signal, gatewayDead }, answer =>
            onAnswer(owner.address, answer),
          ),
        );
      },
    );
    switch (asked.kind) {
      case 'served':
        metrics.served(asked);
        return;
      case 'client-gone':
        metrics.routed('client_gone');
        return;
      case 'no-owner':
        log.warn({ event: 'no_owner', partition, reason: asked.reason, traceparent }, 'no owner in time');
        throw new PenstockError('UNAVAILABLE', 'no replica owns the partition now', { retryAfterSeconds: 1 });
      case 'broken':
        log.warn(
          { event: 'gateway_answer_lost', partition, reason: asked.reason, traceparent },
          'the answer of a gateway was lost',
        );
        throw new HttpRefusal(
          502,
          'UNAVAILABLE',
          'the answer was lost; whether the request took effect is not known: send it again under the same commandId',
        );
    }
  };

  return async (request, response, target) => {
    const trace = beginTrace(tracer, request);
    endWithAnswer(trace, response);
    try {
      await route(request, response, target, trace);
    } catch (error) {
      metrics.routed(outcomeOf(error));
      throw error;
    }
  };
}

/**
 * Pipes an answer to its client; whichever side breaks off, the other is told. Leaving ends the client's side properly,
 * so that a client of an event stream sees its end and comes again with its `Last-Event-ID`.
 */
function passOn(
  answer: IncomingMessage,
  response: ServerResponse,
  onClosed: () => void,
): Pick<Passage, 'leave' | 'abandon'> {
  answer.on('error', () => response.destroy());
  answer.once('close', () => {
    if (!answer.complete && !response.writableEnded) response.destroy();
  });
  response.once('close', () => {
    answer.destroy();
    onClosed();
  });
  answer.pipe(response);
  const leave = (): void => {
    answer.unpipe(response);
    response.end();
  };
  return { leave, abandon: leave };
}

function outcomeOf(error: unknown): Outcome {
  if (error instanceof HttpRefusal) return error.status === 502 ? 'broken' : 'refused';
  if (!(error instanceof PenstockError)) return 'client_gone';
  if (error.code === 'UNAUTHENTICATED') return 'unauthenticated';
  return error.code === 'UNAVAILABLE' ? 'no_owner' : 'refused';
}
