import { Registry } from 'prom-client';
import { type AppPlan, loadApp, SchemaError } from '../../lib/app/index.ts';
import { messageOf } from '../../lib/errors.ts';
import { findFleetTopic } from '../../lib/fleet/index.ts';
import {
  connectKafka,
  DeadLetterTopicError,
  KafkaUnavailableError,
  openDeadLetters,
  openTopics,
  PartitionCountError,
  type Topics,
} from '../../lib/kafka/index.ts';
import { catalogue, type Logger, readConfig } from '../../lib/ops/index.ts';
import { prepareTopics } from '../../services/gateway/topics.ts';
import { untilDone } from '../run-job.ts';
import type { SetUp } from './options.ts';

/**
 * Creates the topics that the app's schema names where they are missing, those for dead letters of the services that write such, and the
 * one for the operators' console.
 * It waits for Kafka. Topics that exist stay as they are.
 * @throws ConfigError; SchemaError and PartitionCountError where a topic exists with another partition count; DeadLetterTopicError.
 */
export async function createTopics({ env, services, log }: SetUp): Promise<void> {
  const config = readConfig(catalogue, ['app', 'kafka', 'projector', 'fleet'], env);
  const plan = await loadApp(config.app.schema);
  const connection = connectKafka(config.kafka, { service: 'setup', log, metrics: new Registry() });
  const topics = openTopics(connection);
  const { brokers, replicationFactor } = config.kafka;
  const letters = openDeadLetters({
    ...{ topics, brokers, group: 'setup', create: { replicationFactor }, onSent: () => undefined },
    lanes: { send: () => Promise.reject(new Error('the set-up writes no records')) },
  });
  try {
    const settings = { ...config.kafka, createTopics: true };
    const { partitionCount } = await untilDone('topics', () => prepareTopics(plan, topics, settings), isFinal, log);
    const originals = originalsOf(plan, services, config.projector.deadLetters === 'topic');
    await untilDone('topics of dead letters', () => letters.prepare(originals), isFinal, log);
    await createFleetTopic(topics, config.fleet.topic, replicationFactor, log);
    log.info(
      { event: 'topics_ready', topics: plan.topics.map(({ name }) => name), partitionCount },
      'topics are there',
    );
  } finally {
    await topics.close();
    await connection.close();
  }
}

/** The console is worth having, and no reason not to install: where its topic may not be created, that is said, and the rest goes on. */
async function createFleetTopic(topics: Topics, name: string, replicationFactor: number, log: Logger): Promise<void> {
  const isRefusal = (error: unknown) => !(error instanceof KafkaUnavailableError);
  await untilDone(
    "the console's topic",
    () => findFleetTopic(topics, name, { replicationFactor }),
    isRefusal,
    log,
  ).catch((error: unknown) =>
    log.warn({ event: 'fleet_topic_missing', reason: messageOf(error) }, "the console's topic could not be created"),
  );
}

/** Returns the topics whose records may become dead letters. */
function originalsOf(plan: AppPlan, services: ReadonlySet<string>, projectorWrites: boolean): string[] {
  const handler = services.has('command-handler') ? [...plan.commands.values()].map(({ topic }) => topic) : [];
  const writes = services.has('projector') && projectorWrites;
  const projector = writes ? [...plan.tables.values()].flatMap(table => table.topics) : [];
  return [...new Set([...handler, ...projector])];
}

function isFinal(error: unknown): boolean {
  return [SchemaError, PartitionCountError, DeadLetterTopicError].some(each => error instanceof each);
}
