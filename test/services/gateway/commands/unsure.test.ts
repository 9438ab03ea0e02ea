// runs apart: three brokers of its own, one of which is paused
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import kafkajs from 'kafkajs';
import pino from 'pino';
import { compileApp } from '../../../../lib/app/index.ts';
import { PenstockError } from '../../../../lib/errors.ts';
import { connectKafka, openLanes, openReader } from '../../../../lib/kafka/index.ts';
import { openRecordStreams } from '../../../../lib/replay/index.ts';
import { openCommands } from '../../../../services/gateway/commands/commands.ts';
import { openFeedbackTaps } from '../../../../services/gateway/commands/feedback-taps.ts';
import { openGatewayMetrics } from '../../../../services/gateway/metrics.ts';
import { testKafka } from '../../../support/dump.ts';
import { testSchema } from '../../../support/gateway.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../../support/scratch-brokers.ts';
import { contentOf, kafkaConfig, openScratchKafka, type ScratchKafka } from '../../../support/scratch-kafka.ts';
import { until } from '../../../support/until.ts';

let brokers: ScratchBrokers;
let kafka: ScratchKafka;
before(async () => {
  brokers = await startScratchBrokers(3);
  kafka = openScratchKafka(brokers.addresses);
});
after(async () => {
  await kafka?.close();
  await brokers?.close();
});

/** In kafkajs, but not in its types. */
interface AltersConfigs {
  alterConfigs(request: { resources: readonly object[] }): Promise<unknown>;
}

/** Over broker 1, which is never paused. */
async function configure(topic: string, config: Readonly<Record<string, string>>): Promise<true> {
  const cluster = kafka.connection.openCluster('configure');
  try {
    await cluster.refresh([topic]);
    const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }));
    const resources = [{ type: kafkajs.ConfigResourceTypes.TOPIC, name: topic, configEntries }];
    const link = await cluster.link(1);
    await link.call(broker => (broker as unknown as AltersConfigs).alterConfigs({ resources }));
    return true;
  } finally {
    cluster.close();
  }
}

test('a command whose answer was lost, and whose batch was split then, is pending and not refused: it had its effect', async () => {
  const admin = testKafka(brokers.addresses).admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: false,
    topics: ['commands', 'feedback', 'notes'].map(topic => ({
      topic,
      // The leader writes a command and its follower, which is paused below, does not: the answer is that nobody knows.
      replicaAssignment: [{ partition: 0, replicas: topic === 'commands' ? [1, 2] : [1, 3] }],
      configEntries: [{ name: 'min.insync.replicas', value: '2' }],
    })),
  });
  await admin.disconnect();
  for (const topic of ['commands', 'feedback']) {
    await until('there are leaders', () => kafka.topics.offsets(topic, [0]).catch(() => undefined), 30_000);
  }
  const lines: { msg?: string; reason?: string }[] = [];
  const log = pino({ level: 'debug' }, { write: line => void lines.push(JSON.parse(line)) });
  const connection = connectKafka(kafkaConfig(brokers.addresses), { ...kafka.ops, log });
  const lanes = openLanes(connection, { bufferBytes: 1_000_000, deliveryTimeoutMs: 300_000 });
  const reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 100_000 });
  const streams = openRecordStreams({
    ...{ reader, topics: kafka.topics, ops: kafka.ops, redis: undefined },
    config: {
      ...{
        scanMaxBytes: 1e9,
        concurrency: 4,
        maxWaiting: 100,
        openTimeoutMs: 10_000,
        stallTimeoutMs: 30_000,
        ringBytes: 0,
      },
      ...{ keyRecords: 1_000, ageMs: 600_000, partitionBytes: 10_000_000 },
      ...{ appendIntervalMs: 5, appendsInFlight: 8, fillRecords: 10_000 },
    },
  });
  const body = testSchema({ commands: 'commands', feedback: 'feedback', notes: 'notes' });
  const commands = openCommands({
    ...{ lanes, taps: openFeedbackTaps(streams), metrics: openGatewayMetrics(kafka.ops.metrics), log },
    ...{ tracer: undefined, partitionCount: 1, maxInFlight: 100 },
  });
  const plan = compileApp({ name: 'test.graphql', body }).commands.get('Mutation.say');
  assert.ok(plan);
  const caller = { userKey: 'alice', roles: [], expiresAtMs: Number.POSITIVE_INFINITY, accessTokenHash: '' };
  const send = (text: string) =>
    commands.send({
      plan: { ...plan, timeoutMs: 300_000 },
      args: { commandId: randomUUID(), text },
      path: ['say'],
      call: {
        ...{ caller, operationId: undefined, traceparent: '' },
        lastEventId: undefined,
        signal: AbortSignal.any([]),
      },
    });
  // Producer id, leaders and connections are there before the follower is gone, for whom the leader waits some seconds only.
  await lanes.send({ topic: 'commands', partition: 0 }, { key: 'bob', value: '{}' });
  const tap = openFeedbackTaps(streams).listen('feedback', 0, { userKey: 'bob', commandId: '' }, () => undefined);
  await tap.reading;
  tap.stop();
  brokers.pause(2);
  let answered = 0;
  const answers = ['one', 'two', 'three'].map(text =>
    send(text.repeat(100))
      .then(
        () => 'a verdict',
        (error: unknown) => (error instanceof PenstockError ? error.code : error),
      )
      .finally(() => answered++),
  );
  const unsure = ['REQUEST_TIMED_OUT', 'NOT_ENOUGH_REPLICAS_AFTER_APPEND'];
  const saw = (...reasons: string[]) => lines.some(({ reason = '' }) => reasons.includes(reason));
  await until('a batch may have been written', () => saw(...unsure), 60_000);
  await until('the follower is given up, so that no attempt waits for it', () => saw('NOT_ENOUGH_REPLICAS'), 60_000);
  const refusing = { 'max.message.bytes': '200', 'min.insync.replicas': '1' };
  // The paused broker may have been the controller.
  const refuse = () => configure('commands', refusing).catch(() => undefined);
  await until('the topic refuses their size', async () => (await refuse()) !== undefined, 90_000);
  const doubted = () => lines.filter(({ msg }) => msg === 'a command may or may not have been written').length;
  await until('all are given up', () => doubted() + answered === 3, 60_000);
  commands.close();
  assert.deepEqual(await Promise.all(answers), ['COMMAND_PENDING', 'COMMAND_PENDING', 'COMMAND_PENDING']);
  brokers.resume(2);
  await until(
    'the commands are in the log',
    async () => (await contentOf(kafka.topics, { topic: 'commands', partition: 0 })).length === 4,
    60_000,
  );
  await streams.close();
  await reader.close();
  await lanes.close();
  await connection.close();
});
