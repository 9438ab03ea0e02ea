import type { AccessTokenVerifier, KeyStore, LocalUsers, RouteTokenVerifier } from '../../lib/auth/index.ts';
import { partitionOf } from '../../lib/kafka/index.ts';
import type { Ops, PenstockConfig } from '../../lib/ops/index.ts';
import type { OwnerTable } from '../../lib/ownership/types.ts';
import { openAdmission } from './admission.ts';
import { credentialReader } from './credentials.ts';
import { abandonGateway, type Front, frontState, openFront } from './front.ts';
import { openGatewayProxy } from './gateway-proxy.ts';
import { graphqlHttp } from './graphql-http.ts';
import { graphqlWs } from './graphql-ws.ts';
import { loginHandler } from './login.ts';
import { routerMetrics } from './metrics.ts';
import { allowedOrigins } from './origins/allowed-origins.ts';
import { originReader } from './origins/client-origin.ts';
import { ownOrigin } from './origins/own-origin.ts';
import { wsRefusals } from './refusals.ts';
import { jwksHandler, requestListener } from './requests.ts';
import { routeHandler } from './route.ts';
import { openRouteMinter } from './route-minter.ts';
import type { Site } from './site/site.ts';

export interface RouterParts {
  config: PenstockConfig<'http' | 'login' | 'route' | 'gateway'>;
  keys: KeyStore;
  /** Undefined where another issuer makes the access tokens. */
  users: LocalUsers | undefined;
  access: AccessTokenVerifier;
  routes: RouteTokenVerifier;
  owners: OwnerTable;
  site: Site;
  ops: Pick<Ops, 'log' | 'metrics' | 'tracer' | 'drainTimeoutMs'>;
}

/** What remains of the drain time-out for the parts that close behind the router, ms. */
const closingMs = 1_500;

/** The public face: login, route tokens, keys, the web app, and `/graphql` passed on to the owners. */
export async function openRouter({
  config,
  keys,
  users,
  access,
  routes,
  owners,
  site,
  ops,
}: RouterParts): Promise<Front> {
  const { log, tracer } = ops;
  const { maxPending, maxWaiting, maxConnections, connectTimeoutMs, answerTimeoutMs, upgradeTimeoutMs, ownerWaitMs } =
    config.route;
  const origin = originReader(config.route.trustedProxies);
  const own = ownOrigin(origin);
  const origins = allowedOrigins(config.http.allowedOrigins, own);
  const state = frontState();
  owners.onDead(address => abandonGateway(state, address));
  const admission = openAdmission({ maxPending, maxWaiting, maxWaitMs: ownerWaitMs });
  const metrics = routerMetrics(ops.metrics, () => state.connections.size, admission.waiting);
  const minter = openRouteMinter(keys);
  const proxy = openGatewayProxy({ connectTimeoutMs, answerTimeoutMs, upgradeTimeoutMs, maxSockets: maxConnections });
  const partitionFor = (userKey: string): number => partitionOf(userKey, owners.partitionCount());
  const common = { owners, minter, proxy, origin, metrics, tracer, log, state, ownerWaitMs };

  const front = await openFront(
    {
      listen: config.http.listen,
      maxConnections,
      maxHeaderBytes: config.http.maxHeaderBytes,
      refusals: metrics.refusals,
      drainMs: Math.max(500, ops.drainTimeoutMs - closingMs),
    },
    state,
    requestListener(
      {
        login: loginHandler(users, keys, { origin, origins }, config.login.maxBodyBytes),
        route: routeHandler({ access, keys, routes, owners, admission, partitionFor, own, origins }),
        graphql: graphqlHttp({ ...common, access, partitionFor, maxRequestBytes: config.gateway.maxRequestBytes }),
        jwks: jwksHandler(keys),
        site: { has: site.has, serve: site.handler(own) },
      },
      origins,
      metrics.refusals,
      log,
    ),
    graphqlWs({
      ...common,
      admission,
      credentials: credentialReader(access, routes, partitionFor),
      refusals: wsRefusals(),
      origins,
    }),
    log,
  );
  return {
    urls: front.urls,
    async close() {
      await front.close();
      await proxy.close();
    },
  };
}
