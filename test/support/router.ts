import { EventEmitter } from 'node:events';
import { join } from 'node:path';
import {
  openAccessTokens,
  openAuthDatabase,
  openKeyStore,
  openLocalUsers,
  openRouteTokens,
} from '../../lib/auth/index.ts';
import { catalogue, type Ops, readConfig } from '../../lib/ops/index.ts';
import type { Owner, OwnerTable } from '../../lib/ownership/types.ts';
import { openRouter } from '../../services/router/router.ts';
import { loadSite } from '../../services/router/site/site.ts';
import { quietOps } from './quiet-ops.ts';
import { until } from './until.ts';

/** An owner table that a test writes by hand. */
export interface OwnersByHand extends OwnerTable {
  /** One gateway owns everything, from a new epoch on; undefined: nobody owns anything. */
  give(address: string | undefined): void;
  waiting(): number;
  /** The gateway there counts as dead. */
  die(address: string): void;
}

export function ownersByHand(partitions = 8): OwnersByHand {
  const changes = new EventEmitter().setMaxListeners(0);
  let owner: Owner | undefined;
  let epoch = 0;
  let waiting = 0;
  const fits = (not: Owner | undefined): Owner | undefined =>
    not === undefined || owner?.address !== not.address || owner.epoch > not.epoch ? owner : undefined;
  return {
    partitionCount: () => partitions,
    owner: () => owner,
    async waitForOwner(_partition, timeoutMs, not) {
      if (fits(not) !== undefined) return fits(not);
      waiting++;
      return new Promise(resolve => {
        const end = (): void => {
          clearTimeout(timer);
          changes.off('change', look);
          waiting--;
          resolve(fits(not));
        };
        const look = (): void => {
          if (fits(not) !== undefined) end();
        };
        const timer = setTimeout(end, timeoutMs);
        changes.on('change', look);
      });
    },
    give(address) {
      epoch++;
      owner = address === undefined ? undefined : { address, epoch, generation: epoch, memberId: `m-${epoch}` };
      changes.emit('change');
    },
    waiting: () => waiting,
    onDead: listener => void changes.on('death', listener),
    die: address => void changes.emit('death', address),
    close: () => Promise.resolve(),
  };
}

export interface TestRouter {
  url: string;
  owners: OwnersByHand;
  ops: Ops;
  logIn(username: string): Promise<string>;
  /** A route token of `POST /route`. */
  routeToken(accessToken: string): Promise<string>;
  metric(name: string): Promise<string>;
  close(): Promise<void>;
}

/**
 * A router on a free port, with real keys and users in PostgreSQL, and owners that the test names.
 * @param options.owners in their place.
 */
export async function openTestRouter(
  postgresUrl: string,
  variables: Readonly<Record<string, string>> = {},
  { drainTimeoutMs = 4_000, owners: table }: { drainTimeoutMs?: number; owners?: OwnerTable } = {},
): Promise<TestRouter> {
  const config = readConfig(catalogue, ['http', 'postgres', 'auth', 'login', 'route', 'gateway'], {
    PENSTOCK_POSTGRES_URL: postgresUrl,
    PENSTOCK_ROUTE_JWKS_URL: 'http://127.0.0.1:1/unused',
    PENSTOCK_AUTH_LOCAL_SIGN_UP: 'true',
    PENSTOCK_AUTH_LOCAL_ROLES: '{"auditor":["auditor"]}',
    PENSTOCK_ROUTE_OWNER_WAIT_MS: '5000',
    ...variables,
  });
  const ops = { ...quietOps('router'), drainTimeoutMs };
  const database = openAuthDatabase(config.postgres, ops);
  const keys = openKeyStore({ auth: config.auth, routeTokenTtlSeconds: config.route.tokenTtlSeconds }, database, ops);
  const users =
    config.auth.jwksUrl === undefined ? openLocalUsers(config.auth, database, ops, config.login) : undefined;
  const access = openAccessTokens(config.auth, { localKeys: keys.keys }, ops);
  const routes = openRouteTokens({ localKeys: keys.keys }, ops);
  const owners = ownersByHand();
  const site = await loadSite({ folder: join(import.meta.dirname, 'site'), graphiql: true });
  const router = await openRouter({ config, keys, users, access, routes, owners: table ?? owners, site, ops });
  const url = router.urls[0] ?? '';
  return {
    url,
    owners,
    ops,
    async logIn(username) {
      await until('keys and tables', () => Object.keys(ops.readiness.reasons()).length === 0);
      const response = await fetch(`${url}/login`, {
        method: 'POST',
        body: JSON.stringify({ username, password: 'pw' }),
      });
      if (response.status !== 200) throw new Error(`login: ${response.status} ${await response.text()}`);
      return ((await response.json()) as { accessToken: string }).accessToken;
    },
    async routeToken(accessToken) {
      const response = await fetch(`${url}/route`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}` },
      });
      if (response.status !== 200) throw new Error(`route: ${response.status} ${await response.text()}`);
      return ((await response.json()) as { token: string }).token;
    },
    async metric(name) {
      return (await ops.metrics.getMetricsAsJSON())
        .filter(metric => metric.name === name)
        .flatMap(metric => metric.values.map(({ labels, value }) => `${Object.values(labels).join(',')}=${value}`))
        .sort()
        .join(' ');
    },
    async close() {
      await router.close();
      await users?.close();
      await access.close();
      await keys.close();
      await database.close();
    },
  };
}
