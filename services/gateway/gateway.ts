import type { WebSocketServer } from 'ws';
import type { AppPlan } from '../../lib/app/index.ts';
import type { AccessTokenVerifier, RouteTokenVerifier } from '../../lib/auth/index.ts';
import type { FleetPublisher } from '../../lib/fleet/index.ts';
import { type Growths, type Lanes, partitionOf, type UnreadPartitions } from '../../lib/kafka/index.ts';
import type { Closable, Ops, PenstockConfig } from '../../lib/ops/index.ts';
import { systemClock } from '../../lib/ownership/clock.ts';
import type { Ownership } from '../../lib/ownership/types.ts';
import type { CursorCodec, RecordStreams } from '../../lib/replay/index.ts';
import type { Views } from '../../lib/views/types.ts';
import { bufferOwned } from './buffering.ts';
import { type Clients, openClients } from './clients.ts';
import { type Commands, openCommands } from './commands/commands.ts';
import { openFeedbackTaps } from './commands/feedback-taps.ts';
import { consoleQueries, openConsoleEngine } from './console/engine.ts';
import { consolePlan } from './console/schema.ts';
import { gatewayState } from './console/state.ts';
import { sweepFleet } from './console/sweep.ts';
import { openDocuments } from './graphql/documents.ts';
import { type Engine, type EngineParts, openEngine } from './graphql/engine.ts';
import type { ErrorFormatter } from './graphql/errors.ts';
import { followOwnership } from './handover.ts';
import { openRequests } from './http/requests.ts';
import { paths, type Service } from './http/server.ts';
import { openSubscriptions } from './http/subscriptions.ts';
import type { GatewayMetrics } from './metrics.ts';
import { openPlacement } from './placement.ts';
import { openCursors } from './streams/cursors.ts';
import { openRecords, type Records } from './streams/records.ts';
import { openStreams } from './streams/streams.ts';
import type { Warmth } from './warmth.ts';
import { openWebSockets } from './ws/server.ts';

export interface GatewayParts {
  config: PenstockConfig<'gateway' | 'ownership' | 'fleet'>;
  plan: AppPlan;
  ops: Pick<Ops, 'log' | 'tracer' | 'metrics'>;
  metrics: GatewayMetrics;
  warmth: Pick<Warmth, 'cool'>;
  format: ErrorFormatter;
  webSocketServer: WebSocketServer;
  accessTokens: AccessTokenVerifier;
  routeTokens: RouteTokenVerifier;
  ownership: Ownership;
  records: RecordStreams;
  lanes: Lanes;
  views: Views;
  codec: CursorCodec;
  fleet: FleetPublisher;
  /** Base URL under which routers reach this gateway. */
  address: string;
  clusterId: string;
  growths: Growths;
  unread: Pick<UnreadPartitions, 'of' | 'onChange'>;
  /** First offset whose timestamp is this or later. */
  offsetAt(topic: string, partition: number, timestampMs: number): Promise<number>;
}

export interface Gateway extends Closable {
  service: Service;
  /** Hands its partitions over and sees its clients off, spread over the handover window. */
  close(): Promise<void>;
}

/** Longest wait of a routed client for a claim that is under way, ms; the router waits longer. */
const claimWaitMs = 2_000;
/** After the last window clients are given this long to answer the close frame, ms. */
const farewellMs = 3_500;

/** Puts the gateway's parts together; everything that they need is there. */
export function openGateway(parts: GatewayParts): Gateway {
  const { config, ops, metrics, format, ownership, records, accessTokens } = parts;
  const clients = openClients();
  const taps = openFeedbackTaps(records);
  const commands = openCommands({
    lanes: parts.lanes,
    taps,
    metrics,
    log: ops.log,
    tracer: ops.tracer,
    partitionCount: ownership.partitionCount,
    maxInFlight: config.gateway.maxCommands,
  });
  const engine = engineOf(parts, metrics, commands);
  const placement = openPlacement(parts.routeTokens, ownership, { claimWaitMs });
  const outward = {
    format,
    accessTokens,
    placement,
    clients,
    metrics,
    log: ops.log,
    tracer: ops.tracer,
    partitionOf: (userKey: string) => partitionOf(userKey, ownership.partitionCount),
    pingIntervalMs: config.gateway.pingIntervalMs,
    bufferBytes: config.gateway.socketBufferBytes,
    slowTimeoutMs: config.gateway.slowTimeoutMs,
    maxOperations: config.gateway.maxSubscriptions,
    maxOperationIdLength: config.gateway.maxOperationIdLength,
    maxConnections: config.gateway.maxConnections,
    maxPending: config.gateway.maxPending,
    maxRequestBytes: config.gateway.maxRequestBytes,
  };
  bufferOwned(ownership, records, parts.plan);
  followOwnership({ ownership, clients, cool: parts.warmth.cool, clock: systemClock });
  const sweeper = watchFleet(parts, clients);
  return {
    service: {
      engines: new Map([
        [paths.app, engine],
        [paths.console, consoleEngine(parts, { clients, commands })],
      ]),
      placement,
      webSockets: openWebSockets(parts.webSocketServer, outward),
      requests: openRequests({ ...outward, subscriptions: openSubscriptions(outward) }),
    },
    async close() {
      const { handoverWindowMs } = config.ownership;
      for (let partition = 0; partition < ownership.partitionCount; partition++) {
        // The others go when their successors are there.
        if (ownership.tenure(partition).state === 'foreign') clients.moveOn(partition, handoverWindowMs);
      }
      // Not awaited here: where Kafka does not answer, a sweep that begins would hold up the clients' move.
      const swept = sweeper?.close();
      await ownership.leave();
      await emptied(clients, farewellMs);
      await swept;
      for (const socket of parts.webSocketServer.clients) socket.terminate();
      commands.close();
      taps.close();
    },
  };
}

/** Publishes what this gateway does, and looks after the topic when it is its turn. */
function watchFleet(parts: GatewayParts, clients: Clients): Closable | undefined {
  const { config, plan, ops, ownership, records, fleet: publisher, address } = parts;
  const topics = new Set(plan.topics.map(({ name }) => name));
  publisher.describe(gatewayState({ address, ownership, clients, registry: ops.metrics, topics }));
  ownership.onTransition(publisher.changed);
  const { topic } = config.fleet;
  return topic === '' ? undefined : sweepFleet({ topic, publisher, ownership, records, log: ops.log });
}

function engineOf(parts: GatewayParts, metrics: GatewayMetrics, commands: Commands): Engine {
  const { config, plan, ops, ownership } = parts;
  const rendered = openRecords(metrics, ops.log, config.gateway.resultBytes);
  return openEngine(engineParts(parts, { plan, commands, rendered, partitionCount: ownership.partitionCount }));
}

/** Bytes of states that are kept for further operators to take. */
const consoleResultBytes = 1_048_576;

function consoleEngine(parts: GatewayParts, { clients, commands }: { clients: Clients; commands: Commands }): Engine {
  const { config, ops, metrics, ownership, fleet: publisher } = parts;
  const { topic } = config.fleet;
  const plan = consolePlan(topic);
  const rendered = openRecords(metrics, ops.log, consoleResultBytes);
  const queries = consoleQueries({ topicName: topic, publisher, ownership, clients });
  const open = (partitionCount: number) =>
    openEngine({ ...engineParts(parts, { plan, commands, rendered, partitionCount }), queries });
  return openConsoleEngine(open, publisher.topic);
}

/** What engines have in common, and what one over this plan has besides. */
function engineParts(
  { config, ops, format, metrics, records, views, codec, clusterId, growths, unread, offsetAt }: GatewayParts,
  own: { plan: AppPlan; commands: Commands; rendered: Records; partitionCount: number },
): EngineParts {
  const { plan, commands, rendered, partitionCount } = own;
  const cursors = openCursors(codec, clusterId);
  const { maxDepth, maxNameLength, maxResponseBytes, socketBufferBytes: bufferBytes } = config.gateway;
  return {
    ...{ plan, format, cursors, views, commands, maxDepth, maxNameLength, maxResponseBytes },
    documents: openDocuments(plan.schema, config.gateway),
    streams: openStreams({
      ...{ records, rendered, cursors, metrics, partitionCount, growths, unread, offsetAt, bufferBytes },
      tracer: ops.tracer,
    }),
  };
}

/** Resolves when the last client has gone, or the time is over. */
function emptied(clients: Clients, timeoutMs: number): Promise<void> {
  if (clients.count() === 0) return Promise.resolve();
  return new Promise(resolve => {
    const timer = setTimeout(resolve, timeoutMs);
    clients.onEmptied(() => {
      if (clients.count() > 0) return;
      clearTimeout(timer);
      resolve();
    });
  });
}
