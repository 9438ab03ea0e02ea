import { loadApp, loadCommands } from '../../lib/app/index.ts';
import { openFleetPublisher } from '../../lib/fleet/index.ts';
import { connectKafka, openLanes, openReader, openTopics } from '../../lib/kafka/index.ts';
import { catalogue, openOps, readConfig, runUntilSignal, start } from '../../lib/ops/index.ts';
import { joinMembership } from '../../lib/ownership/index.ts';
import { openFence } from './fence.ts';
import { startHandler } from './handler.ts';
import { within } from './signal.ts';
import { commandHandlerState } from './state.ts';

const sections = [
  'log',
  'drain',
  'watchdog',
  'admin',
  'tracing',
  'app',
  'kafka',
  'postgres',
  'ownership',
  'handler',
  'fleet',
] as const;
/** Rows wait in the outbox whatever the lanes do with them, so that no time-out may tear a key's records apart, ms. */
const deliveryTimeoutMs = 86_400_000;

start('command-handler', async () => {
  const config = readConfig(catalogue, sections, process.env);
  const { schema, folder } = config.app;
  if (folder === undefined) throw new Error('PENSTOCK_APP_FOLDER is required: the folder of the app, with commands.ts');
  const ops = await openOps('command-handler', config);
  const [plan, app] = [await loadApp(schema), await loadCommands(folder)];
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const { fetchMaxWaitMs: maxWaitMs, fetchPartitionBytes: partitionBytes, fetchPaceMs, ...producing } = config.kafka;
  const reader = openReader(connection, { maxWaitMs, partitionBytes, paceMs: fetchPaceMs });
  const maxBatchBytes = Math.max(1_048_588, config.handler.maxValueBytes + 65_536);
  const { peerListen, peerSilenceMs } = config.ownership;
  const fence = openFence({
    pauseMs: Math.min(peerSilenceMs, config.kafka.sessionTimeoutMs) / 2,
    onPause: forMs =>
      ops.log.warn(
        { event: 'process_stood_still', forMs },
        'this process stood still: nothing is sent until the group confirms it',
      ),
  });
  const lanes = openLanes(connection, {
    ...{ bufferBytes: producing.laneBufferBytes, maxBatchBytes, deliveryTimeoutMs, paceMs: producing.producePaceMs },
    maySend: fence.maySend,
  });
  const handler = startHandler({
    ...{ config, plan, app, ops, reader, lanes, topics },
    joinGroup: options =>
      joinMembership(connection, { ...options, onContact: fence.confirmed, peerListen, peerSilenceMs, ops }),
  });
  const fleet = openFleetPublisher({ config, connection, topics, ops });
  fleet.describe(commandHandlerState(ops.metrics));
  const onDraining = () => {
    ops.onDraining();
    fleet.changed();
  };
  await Promise.all([
    handler.running,
    runUntilSignal({ ...ops, onDraining }, [
      handler,
      reader,
      { close: () => within(lanes.close(), ops.drainTimeoutMs / 5) },
      fence,
      fleet,
      topics,
      connection,
      ops,
    ]),
  ]);
});
