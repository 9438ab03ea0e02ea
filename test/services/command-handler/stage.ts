import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { plainEnvironment } from '../../../dev/stack/environment.ts';
import { type AppPlan, loadApp } from '../../../lib/app/index.ts';
import { headerText, type KafkaRecord, type Lanes, openLanes, partitionOf } from '../../../lib/kafka/index.ts';
import { dieWithUs } from '../../support/die-with-us.ts';
import { testKafka } from '../../support/dump.ts';
import { kafkaAddress, openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { type ScratchPostgres, scratchPostgres } from '../../support/scratch-postgres.ts';
import { until } from '../../support/until.ts';

const root = join(import.meta.dirname, '../../..');
const topicNames = ['commands', 'account_creation_feedback', 'money_transfer_feedback', 'balance_changed'] as const;
export type TopicName = (typeof topicNames)[number];

/** The bank on topics and a database of its own, with real handler processes to start and to kill. */
export interface Stage {
  plan: AppPlan;
  partitions: number;
  group: string;
  kafka: ScratchKafka;
  postgres: ScratchPostgres;
  topic(name: TopicName): string;
  /** What a process needs to find the servers and the app's topics. */
  settings: Readonly<Record<string, string>>;
  /** Produces a command as a gateway would; resolves with its id when it is in the log. */
  command(user: string, type: string, args: object, id?: string): Promise<string>;
  /** Produces any record to the command topic. */
  produce(
    record: { key: string | Buffer | null; value: string | Buffer | null; headers?: Record<string, string> },
    partition?: number,
  ): Promise<void>;
  /** Everything in a topic, partition by partition. */
  read(topic: string): Promise<Event[]>;
  /** The next verdict on a command. */
  verdict(user: string, commandId: string): Promise<Record<string, unknown>>;
  start(env?: Record<string, string>): Promise<HandlerProcess>;
  close(): Promise<void>;
}

export interface Event {
  topic: string;
  partition: number;
  offset: number;
  key: string;
  value: Record<string, unknown>;
  sequence: number;
  header(name: string): string | undefined;
  record: KafkaRecord;
}

export interface HandlerProcess {
  pid: number;
  admin: string;
  /** Lines of its log. */
  log: Record<string, unknown>[];
  signal(name: NodeJS.Signals): void;
  /** Exit code, or the signal that ended it. */
  exited: Promise<number | string>;
  reasons(): Promise<Record<string, string>>;
  metric(name: string): Promise<number>;
  ready(): Promise<void>;
}

export interface StageOptions {
  partitions?: number;
  brokers?: readonly string[];
  /** Settings of single topics. */
  config?: Partial<Record<TopicName, Record<string, string>>>;
  /** The broker that has the only copy of a topic's partition; default: wherever the cluster puts it. */
  brokerOf?(topic: TopicName, partition: number): number;
  /** Makes the command topic, where it is to be another one than the others. */
  makeCommands?(topic: string): Promise<void>;
}

export async function openStage({
  partitions = 4,
  brokers = [kafkaAddress()],
  config = {},
  brokerOf,
  makeCommands,
}: StageOptions = {}): Promise<Stage> {
  const suffix = randomBytes(6).toString('hex');
  const kafka = openScratchKafka(brokers);
  const postgres = await scratchPostgres();
  const folder = await mkdtemp(join(tmpdir(), 'penstock-stage-'));
  const topic = (name: string): string => `${name}-${suffix}`;
  const group = `handler-${suffix}`;
  const processes: { child: ChildProcess; exited: Promise<unknown> }[] = [];
  const lanes: Lanes = openLanes(kafka.connection, { bufferBytes: 16_777_216 });

  let schema = await readFile(join(root, 'apps/bank/schema.graphql'), 'utf8');
  for (const name of topicNames) schema = schema.replaceAll(`"${name}"`, `"${topic(name)}"`);
  const plan = await loadApp(schema);
  const replicationFactor = makeCommands === undefined ? 1 : brokers.length;
  if (brokerOf !== undefined) await place(brokers, partitions, topicNames, topic, brokerOf);
  await makeCommands?.(topic('commands'));
  await kafka.topics.ensure([
    ...topicNames.map(name => ({ name: topic(name), partitions, replicationFactor, config: config[name] ?? {} })),
    { name: `${topic('commands')}-dlt`, partitions, replicationFactor },
  ]);
  await writeFile(join(folder, 'package.json'), '{"type":"module"}');
  await writeFile(
    join(folder, 'commands.ts'),
    `import bank from '${join(root, 'apps/bank/commands.ts')}';
export default {
  ...bank,
  decide(state, command, context) {
    const decision = bank.decide(state, command, context);
    return { ...decision, events: decision.events.map(event => ({ ...event, topic: event.topic + '-${suffix}' })) };
  },
};\n`,
  );

  const settings = {
    PENSTOCK_SCHEMA: schema,
    PENSTOCK_KAFKA_BROKERS: brokers.join(),
    PENSTOCK_POSTGRES_URL: postgres.url,
    PENSTOCK_HANDLER_GROUP: group,
  };

  async function produce(record: Parameters<Stage['produce']>[0], partition?: number): Promise<void> {
    const place = partition ?? (record.key === null ? 0 : partitionOf(record.key, partitions));
    await lanes.send({ topic: topic('commands'), partition: place }, record);
  }

  const stage: Stage = {
    ...{ plan, partitions, group, kafka, postgres, topic, produce, settings },
    async command(user, type, args, id = randomUUID()) {
      const headers = {
        ce_specversion: '1.0',
        ce_id: id,
        ce_type: type,
        ce_source: '/test',
        ce_time: new Date().toISOString(),
      };
      await produce({ key: user, value: JSON.stringify(args), headers });
      return id;
    },
    async read(name) {
      const events: Event[] = [];
      for (let partition = 0; partition < partitions; partition++) {
        const at = { topic: name, partition };
        const end = await kafka.topics.endOffset(at);
        for (let offset = 0; offset < end; ) {
          const batch = await kafka.topics.fetch(at, offset, 1_048_576);
          events.push(...batch.records.map(eventOf));
          offset = batch.nextOffset;
        }
      }
      return events;
    },
    async verdict(user, commandId) {
      const found = await until(
        `a verdict on ${commandId}`,
        async () => {
          const events = [
            ...(await stage.read(topic('account_creation_feedback'))),
            ...(await stage.read(topic('money_transfer_feedback'))),
          ];
          return events.find(event => event.key === user && event.header('ce_commandid') === commandId);
        },
        30_000,
      );
      return found.value;
    },
    async start(env = {}) {
      const child = spawn(process.execPath, [join(root, 'services/command-handler/main.ts')], {
        stdio: ['ignore', 'ignore', 'pipe'],
        env: {
          ...plainEnvironment(process.env),
          ...settings,
          PENSTOCK_APP_FOLDER: folder,
          PENSTOCK_KAFKA_SESSION_TIMEOUT_MS: '6000',
          PENSTOCK_HANDLER_BATCH_COMMANDS: '20',
          ...env,
        },
      });
      dieWithUs(child);
      const started = watchProcess(child);
      processes.push({ child, exited: started.exited });
      return started;
    },
    async close() {
      for (const { child } of processes)
        if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
      await Promise.all(processes.map(({ exited }) => exited));
      await lanes.close();
      for (const name of [...plan.topics.map(each => each.name), `${topic('commands')}-dlt`]) {
        await kafka.remove(name).catch(() => undefined);
      }
      await kafka.close();
      await postgres.drop();
      await rm(folder, { recursive: true });
    },
  };
  return stage;
}

async function place(
  brokers: readonly string[],
  partitions: number,
  names: readonly TopicName[],
  topic: (name: string) => string,
  brokerOf: (topic: TopicName, partition: number) => number,
): Promise<void> {
  const admin = testKafka(brokers).admin();
  await admin.connect();
  await admin.createTopics({
    waitForLeaders: false,
    topics: names.map(name => ({
      topic: topic(name),
      replicaAssignment: Array.from({ length: partitions }, (_, partition) => ({
        partition,
        replicas: [brokerOf(name, partition)],
      })),
    })),
  });
  await admin.disconnect();
}

function watchProcess(child: ChildProcess): HandlerProcess {
  const log: Record<string, unknown>[] = [];
  const exited = once(child, 'exit').then(([code, signal]: unknown[]) => (code ?? signal) as number | string);
  if (child.stderr !== null) {
    createInterface({ input: child.stderr }).on('line', line => {
      if (process.env.TEST_LOG !== undefined) console.error(line);
      log.push(line.startsWith('{') ? (JSON.parse(line) as Record<string, unknown>) : { line });
    });
  }
  const handler: HandlerProcess = {
    pid: child.pid ?? 0,
    get admin() {
      return String(log.find(({ admin }) => admin !== undefined)?.admin ?? '');
    },
    log,
    signal: name => void child.kill(name),
    exited,
    async reasons() {
      const response = await fetch(`${handler.admin}/readyz`);
      return ((await response.json()) as { reasons?: Record<string, string> }).reasons ?? {};
    },
    async metric(name) {
      const text = await (await fetch(`${handler.admin}/metrics`)).text();
      return text
        .split('\n')
        .filter(line => line.startsWith(name) && '{ '.includes(line[name.length] ?? ''))
        .reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
    },
    async ready() {
      await until('the admin port', () => handler.admin !== '' || child.exitCode !== null);
      if (child.exitCode !== null) throw new Error(`the handler ended: ${JSON.stringify(log.at(-1))}`);
      await until(
        `readiness of handler ${handler.pid}`,
        async () => {
          const reasons = await handler.reasons().catch(() => ({ admin: 'no answer' }));
          return Object.keys(reasons).length === 0;
        },
        30_000,
      );
    },
  };
  return handler;
}

function eventOf(record: KafkaRecord): Event {
  const { topic, partition, offset, key, value } = record;
  const header = (name: string): string | undefined => headerText(record.headers, name);
  let json: unknown;
  try {
    json = JSON.parse(String(value));
  } catch {
    json = {};
  }
  return {
    ...{ topic, partition, offset, header, record },
    key: String(key),
    value: json as Record<string, unknown>,
    sequence: Number(header('ce_keysequence')),
  };
}
