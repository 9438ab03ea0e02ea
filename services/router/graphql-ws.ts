import type { IncomingHttpHeaders, IncomingMessage } from 'node:http';
import type { Socket } from 'node:net';
import { faultOf } from '../../lib/auth/index.ts';
import { closeCodes, limitOf, messageOf, PenstockError } from '../../lib/errors.ts';
import type { Logger, Tracer } from '../../lib/ops/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';
import type { Admission } from './admission.ts';
import { askOwners } from './ask-owners.ts';
import type { CredentialReader } from './credentials.ts';
import { attemptAt, type FrontState, type UpgradeHandler } from './front.ts';
import type { GatewayProxy } from './gateway-proxy.ts';
import { upgradeHeaders } from './headers.ts';
import type { RouterMetrics } from './metrics.ts';
import { type AllowedOrigins, foreignOrigin } from './origins/allowed-origins.ts';
import type { OriginReader } from './origins/client-origin.ts';
import { endWithError, offeredProtocols, subProtocol, type WsRefusals } from './refusals.ts';
import { targetOf } from './request-target.ts';
import { beginTrace, endUpgrade, type RequestTrace } from './request-trace.ts';
import type { RouteMinter } from './route-minter.ts';
import { splice } from './splice.ts';

export interface GraphqlWsParts {
  credentials: CredentialReader;
  owners: OwnerTable;
  minter: RouteMinter;
  proxy: GatewayProxy;
  admission: Pick<Admission, 'run'>;
  refusals: WsRefusals;
  origin: OriginReader;
  origins: AllowedOrigins;
  metrics: RouterMetrics;
  tracer: Tracer | undefined;
  log: Logger;
  ownerWaitMs: number;
  state: FrontState;
}

/** Sub-protocol not acceptable, and a request that is wrong in itself: codes of graphql-transport-ws, final. */
const notAcceptable = 4406;
const badRequest = 4400;

/**
 * `/graphql` over WebSocket: accepted always; joined to the owner of the token's partition, to who stands in for it, or
 * closed with a code.
 */
export function graphqlWs(parts: GraphqlWsParts): UpgradeHandler {
  const { credentials, owners, minter, proxy, admission, refusals, origin, origins, metrics, tracer, log, state } =
    parts;

  const serve = async (
    [request, socket, head]: readonly [IncomingMessage, Socket, Buffer],
    gone: AbortSignal,
    trace: RequestTrace,
  ): Promise<void> => {
    const refuse = (code: number, reason: string): void => {
      endUpgrade(trace, code);
      refusals.refuse(request, socket, head, code, reason);
    };
    const { traceparent } = trace;
    const { path, query } = targetOf(request.url);
    if (state.refused.has(socket)) {
      metrics.routed('overloaded');
      metrics.refusals.count('PENSTOCK_ROUTE_MAX_CONNECTIONS', 'ws');
      return refuse(closeCodes.tryAgainLater, 'too many connections');
    }
    if (state.draining) {
      metrics.routed('overloaded');
      return refuse(closeCodes.restart, 'this router is leaving');
    }
    if (origins.senderOf(request) === 'foreign') {
      metrics.routed('refused');
      return refuse(closeCodes.unauthorized, foreignOrigin);
    }
    const offered = offeredProtocols(request);
    if (path !== '/graphql' || !offered.includes(subProtocol)) {
      metrics.routed('refused');
      if (path !== '/graphql') return refuse(badRequest, 'WebSockets are served at /graphql');
      return refuse(notAcceptable, `Subprotocol not acceptable: use ${subProtocol}`);
    }

    const incoming: IncomingHttpHeaders = request.headers;
    const { partition, routeToken, caller } = await credentials.read(query, incoming);
    const { address, secure } = origin(incoming, socket.remoteAddress);
    const onJoined = (gateway: string, upstream: Socket): void => {
      if (head.length > 0) socket.unshift(head);
      for (const end of [socket, upstream]) end.setKeepAlive(true, 30_000);
      const joined = { gateway, ...splice(socket, upstream, () => state.passages.delete(joined)) };
      state.passages.add(joined);
      if (state.draining) joined.leave();
    };

    const tokenFor = async (epoch: number): Promise<string> => {
      if (routeToken !== undefined) return routeToken;
      if (caller === undefined) throw new Error('a credential without a token and without a caller');
      return minter.mint(caller, partition, epoch);
    };

    const asked = await askOwners(
      { partition, owners, waitMs: parts.ownerWaitMs, clientGone: gone, onWaited: metrics.unownedWait },
      async owner => {
        const token = owner.standsIn ? undefined : await tokenFor(owner.epoch);
        // http-proxy sends what it finds on the request itself.
        request.url = path;
        request.headers = upgradeHeaders(
          incoming,
          { routeToken: token, traceparent, clientAddress: address, secure },
          subProtocol,
        ) as IncomingHttpHeaders;
        return admission.run(owner.address, () =>
          attemptAt(state, owner.address, gatewayDead =>
            proxy.upgrade(request, socket, owner.address, { clientGone: gone, gatewayDead }, upstream =>
              onJoined(owner.address, upstream),
            ),
          ),
        );
      },
    );
    switch (asked.kind) {
      case 'served':
        endUpgrade(trace);
        return metrics.served(asked);
      case 'client-gone':
        trace.span?.end('client_gone');
        return metrics.routed('client_gone');
      case 'no-owner':
        metrics.routed('no_owner');
        log.warn({ event: 'no_owner', partition, reason: asked.reason, traceparent }, 'no owner in time');
        return refuse(closeCodes.tryAgainLater, 'no replica owns the partition now');
      case 'broken':
        metrics.routed('broken');
        log.warn(
          { event: 'gateway_refused_upgrade', partition, reason: asked.reason, traceparent },
          'a gateway refused an upgrade',
        );
        return refuse(closeCodes.tryAgainLater, 'the gateway refused the connection');
    }
  };

  return (request, socket, head) => {
    // Before anything else: a reset while the upgrade is pending is an error event that would end the process.
    socket.on('error', () => undefined);
    const gone = new AbortController();
    // Without a reason each would make an exception, with a stack, for nobody.
    socket.once('close', () => gone.abort('closed'));
    if (request.headers.upgrade?.toLowerCase() !== 'websocket') {
      return endWithError(socket, 400, 'the only protocol to upgrade to is websocket');
    }
    const trace = beginTrace(tracer, request);
    const { traceparent } = trace;
    serve([request, socket, head], gone.signal, trace).catch((error: unknown) => {
      const [code, reason] = closeOf(error);
      endUpgrade(trace, code);
      metrics.routed(
        code === closeCodes.tryAgainLater ? (isBusy(error) ? 'overloaded' : 'no_owner') : 'unauthenticated',
      );
      const limit = error instanceof PenstockError ? limitOf(error.extensions) : undefined;
      if (limit) metrics.refusals.count(limit, 'ws');
      if (!(error instanceof PenstockError)) {
        log.error({ event: 'upgrade_failed', error, traceparent }, 'an upgrade failed');
      }
      try {
        refusals.refuse(request, socket, head, code, reason);
      } catch (refusalError) {
        const line = { event: 'upgrade_refusal_failed', reason: messageOf(refusalError), traceparent } as const;
        log.error(line, 'an upgrade could not be refused');
        socket.destroy();
      }
    });
  };
}

function isBusy(error: unknown): boolean {
  return error instanceof PenstockError && error.extensions.retryAfterSeconds !== undefined;
}

/** The close code for what a credential lacked, or for what we lack. */
function closeOf(error: unknown): [code: number, reason: string] {
  const fault = faultOf(error);
  if (fault === 'expired') return [closeCodes.tokenExpired, messageOf(error)];
  if (fault !== undefined && fault !== 'early') return [closeCodes.unauthorized, messageOf(error)];
  return [
    closeCodes.tryAgainLater,
    error instanceof PenstockError ? error.message : 'something went wrong on our side',
  ];
}
