import { join } from 'node:path';
import { loadApp } from '../../lib/app/index.ts';
import {
  openAccessTokens,
  openAuthDatabase,
  openKeyStore,
  openLocalUsers,
  openRouteTokens,
} from '../../lib/auth/index.ts';
import { connectKafka, openTopics } from '../../lib/kafka/index.ts';
import { catalogue, openOps, readConfig, runUntilSignal, start } from '../../lib/ops/index.ts';
import { openOwnerTable } from '../../lib/ownership/index.ts';
import { closeRedis, openRedis } from '../../lib/redis/index.ts';
import { lateOwnerTable } from './late-owner-table.ts';
import { partitionCountOf } from './partition-count.ts';
import { openRouter } from './router.ts';
import { loadSite } from './site/site.ts';
import { logWarnings } from './warnings.ts';

const sections = [
  ...([
    'log',
    'drain',
    'watchdog',
    'admin',
    'tracing',
    'http',
    'app',
    'kafka',
    'redis',
    'postgres',
    'auth',
    'login',
    'route',
    'ownership',
    'site',
  ] as const),
  // For the largest request: the router turns away what no gateway would take.
  'gateway' as const,
];

start('router', async () => {
  const config = readConfig(catalogue, sections, process.env);
  const ops = await openOps('router', config);
  logWarnings(ops.log);
  const plan = await loadApp(config.app.schema);
  const { folder = join(import.meta.dirname, '../../dist/web'), graphiql } = config.site;
  const site = await loadSite({ folder, graphiql });
  const database = openAuthDatabase(config.postgres, ops);
  const keys = openKeyStore({ auth: config.auth, routeTokenTtlSeconds: config.route.tokenTtlSeconds }, database, ops);
  const users =
    config.auth.jwksUrl === undefined ? openLocalUsers(config.auth, database, ops, config.login) : undefined;
  const access = openAccessTokens(config.auth, { localKeys: keys.keys }, ops);
  const routes = openRouteTokens({ localKeys: keys.keys }, ops);
  const kafka = connectKafka(config.kafka, ops);
  const topics = openTopics(kafka);
  const redis = openRedis(config.redis, ops);
  const owners = lateOwnerTable(async () => {
    const partitionCount = await partitionCountOf(
      plan.topics.map(({ name }) => name),
      topics,
    );
    const { group, peerSilenceMs } = config.ownership;
    const maxWaiting = config.route.maxUnowned;
    return openOwnerTable({ redis, connection: kafka, group, partitionCount, peerSilenceMs, maxWaiting, ops });
  }, ops);
  const router = await openRouter({ config, keys, users, access, routes, owners, site, ops });
  ops.readiness.set('start', undefined);
  const redisClosable = { close: async () => closeRedis(redis) };
  const local = users === undefined ? [] : [users];
  await runUntilSignal(ops, [
    router,
    owners,
    redisClosable,
    topics,
    kafka,
    access,
    routes,
    ...local,
    keys,
    database,
    ops,
  ]);
});
