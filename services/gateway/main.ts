import { loadApp, SchemaError } from '../../lib/app/index.ts';
import { openAccessTokens, openRouteTokens } from '../../lib/auth/index.ts';
import { type FleetPublisher, openFleetPublisher } from '../../lib/fleet/index.ts';
import {
  connectKafka,
  openLanes,
  openReader,
  openTopics,
  PartitionCountError,
  watchPartitions,
} from '../../lib/kafka/index.ts';
import {
  type Closable,
  catalogue,
  openLimitRefusals,
  openOps,
  readConfig,
  runUntilSignal,
  start,
} from '../../lib/ops/index.ts';
import { joinOwnership } from '../../lib/ownership/index.ts';
import { closeRedis, connectRedis, openRedis } from '../../lib/redis/index.ts';
import { openCursorCodec, openRecordStreams } from '../../lib/replay/index.ts';
import { openViews } from '../../lib/views/index.ts';
import { openGateway } from './gateway.ts';
import { openErrorFormatter } from './graphql/errors.ts';
import { openGatewayServer } from './http/server.ts';
import { untilKafkaAnswers, watchKafka } from './kafka-watch.ts';
import { openGatewayMetrics } from './metrics.ts';
import { prepareTopics } from './topics.ts';
import { openWarmth } from './warmth.ts';
import { openWebSocketServer } from './ws/server.ts';

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
    'route',
  ] as const),
  ...(['ownership', 'gateway', 'cursor', 'replay', 'fleet'] as const),
];

/** Rows have fields that a result need not have. */
const rowsOfResult = 4;

start('gateway', async () => {
  const config = readConfig(catalogue, sections, process.env);
  const ops = await openOps('gateway', config);
  const plan = await loadApp(config.app.schema);
  const codec = openCursorCodec(() => config.cursor.secrets);
  const kafka = connectKafka(config.kafka, ops);
  const topics = openTopics(kafka);
  const format = openErrorFormatter(ops.log);
  const webSocketServer = openWebSocketServer(config.gateway.maxRequestBytes);
  const server = await openGatewayServer({
    addresses: config.http.listen,
    maxHeaderBytes: config.http.maxHeaderBytes,
    refusals: openLimitRefusals(ops.metrics),
    webSocketServer,
    format,
    log: ops.log,
  });
  ops.log.info({ event: 'gateway_listening', listening: server.url }, 'listening');
  const views = openViews(config.postgres, plan, ops, rowsOfResult * config.gateway.maxResponseBytes);
  const accessTokens = openAccessTokens(config.auth, { localJwksUrl: config.route.jwksUrl }, ops);
  const routeTokens = openRouteTokens({ jwksUrl: config.route.jwksUrl }, ops);
  const redis = openRedis(config.redis, ops);
  // Of its own, so that appends never hold up a claim. That Redis is away is said by the other.
  const bufferRedis = connectRedis(config.redis, ops, () => undefined);
  const stopping = new AbortController();
  const late: { fleet?: FleetPublisher } = {};
  /** Closed from left to right; what opens later closes earlier. */
  const parts: Closable[] = [server, views, accessTokens, routeTokens, topics, kafka, ops];
  const opened = <Part extends Closable>(part: Part): Part => {
    parts.unshift(part);
    return part;
  };
  opened({
    async close() {
      closeRedis(redis);
      closeRedis(bufferRedis);
    },
  });

  /** Kafka may be away: until it answers, the process lives and says so on /readyz. */
  const serve = async (): Promise<void> => {
    const isRefusal = (error: unknown) => error instanceof SchemaError || error instanceof PartitionCountError;
    const prepare = () => prepareTopics(plan, topics, config.kafka);
    const { clusterId, partitionCount, growths } = await untilKafkaAnswers(prepare, isRefusal, ops, stopping.signal);
    const fleet = opened(openFleetPublisher({ config, connection: kafka, topics, ops }));
    late.fleet = fleet;
    const lanes = opened(
      openLanes(kafka, { bufferBytes: config.kafka.laneBufferBytes, paceMs: config.kafka.producePaceMs }),
    );
    const { fetchMaxWaitMs: maxWaitMs, fetchPartitionBytes: partitionBytes, fetchPaceMs: paceMs } = config.kafka;
    const reader = opened(openReader(kafka, { maxWaitMs, partitionBytes, paceMs }));
    const name = `${config.ownership.group}:${clusterId}`;
    const records = opened(
      openRecordStreams({ reader, topics, config: config.replay, redis: { client: bufferRedis, name }, ops }),
    );
    opened(watchKafka(topics, ops));
    const names = plan.topics.map(topic => topic.name);
    const unread = opened(watchPartitions({ topics, names, partitionCount, ops }));
    const metrics = openGatewayMetrics(ops.metrics);
    const warmth = openWarmth({ records, plan, partitionCount, metrics, log: ops.log });
    const address = config.gateway.advertisedUrl ?? server.url;
    const ownership = opened(
      await joinOwnership({
        connection: kafka,
        redis,
        config,
        topics: names,
        partitionCount,
        address,
        warm: warmth.warm,
        ops,
      }),
    );
    const gateway = openGateway({
      ...{ config, plan, ops, metrics, warmth, format, webSocketServer, accessTokens, routeTokens },
      ...{ ownership, records, lanes, views, codec, clusterId, growths, unread, fleet, address },
      offsetAt: (topic, partition, timestampMs) => topics.offsetAt({ topic, partition }, timestampMs),
    });
    opened({
      async close() {
        server.drain();
        await gateway.close();
        await server.close();
      },
    });
    server.serve(gateway.service);
    ops.readiness.set('start', undefined);
    fleet.changed();
    ops.log.info({ event: 'service_ready', partitions: partitionCount }, 'serving');
  };
  const serving = serve().catch((error: unknown) => {
    if (!stopping.signal.aborted) throw error;
  });
  const onDraining = () => {
    stopping.abort();
    ops.onDraining();
    late.fleet?.changed();
  };
  await Promise.all([serving, runUntilSignal({ ...ops, onDraining }, parts)]);
});
