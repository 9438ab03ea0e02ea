import type { AppPlan, TablePlan } from '../../lib/app/index.ts';
import type { TopicPartition, Topics } from '../../lib/kafka/index.ts';
import { fingerprintOf } from '../../lib/views/index.ts';
import { insertPositions, liveScope, lockTopics } from './positions.ts';
import type { Queries } from './store.ts';
import { createVersion, migrateViews, retireLive } from './versions.ts';

/** The schema's topics and the brokers' don't go together. Trying again doesn't help. */
export class TopicsError extends Error {
  constructor(problems: readonly string[]) {
    super(problems.join('; '));
    this.name = 'TopicsError';
  }
}

export type Start = TopicPartition & { offset: number };

/** What the gateway keeps events with, too: for ever, and by the brokers' clocks. */
const topicConfig = { 'retention.ms': '-1', 'message.timestamp.type': 'LogAppendTime' };

/**
 * Where the log of each partition of the tables' topics begins.
 * @throws TopicsError; PartitionCountError where topics are created and one has another count; KafkaUnavailableError.
 */
export async function topicStarts(
  tables: AppPlan['tables'],
  topics: Topics,
  create: { partitions: number; replicationFactor: number } | undefined,
): Promise<Start[]> {
  const names = [...new Set([...tables.values()].flatMap(table => table.topics))];
  if (create) await topics.ensure(names.map(name => ({ name, ...create, config: topicConfig })));
  const counts = new Map<string, number>();
  const problems: string[] = [];
  for (const name of names) {
    const count = await topics.partitionCount(name);
    const users = [...tables.values()].filter(table => table.topics.includes(name)).map(table => table.name);
    if (count === undefined) problems.push(`topic "${name}" of table ${users.join(', ')} does not exist`);
    else counts.set(name, count);
  }
  const [first] = counts;
  for (const [name, count] of counts) {
    if (first && count !== first[1]) {
      problems.push(`topic "${name}" has ${count} partitions, but "${first[0]}" has ${first[1]}`);
    }
  }
  if (problems.length > 0) throw new TopicsError(problems);
  const starts: Start[] = [];
  for (const [topic, count] of counts) {
    const offsets = await topics.offsets(topic, [...Array(count).keys()]);
    for (const [partition, { start }] of offsets) starts.push({ topic, partition, offset: start });
  }
  return starts;
}

/**
 * Makes positions and versions go with the schema. A table of which nothing has been read yet is live at once, and
 * empty. Versions of tables that the schema no longer has are retired, lest they miss records and come back later.
 * Returns the tables that must be built: new ones over topics that have been read, and changed ones.
 */
export async function prepareVersions(
  queries: Queries,
  tables: AppPlan['tables'],
  starts: readonly Start[],
): Promise<TablePlan[]> {
  await migrateViews(queries);
  await insertPositions(queries, liveScope, starts);
  const topics = [...new Set(starts.map(({ topic }) => topic))];
  const positions = await lockTopics(queries, liveScope, topics);
  const startOf = new Map(starts.map(({ topic, partition, offset }) => [`${topic}/${partition}`, offset]));
  const read = new Set(
    positions
      .filter(({ topic, partition, next }) => next > (startOf.get(`${topic}/${partition}`) ?? 0))
      .map(({ topic }) => topic),
  );
  const live = await queries.query<{ table: string; fingerprint: string; topics: string[] }>(
    `SELECT table_name AS "table", fingerprint, plan -> 'topics' AS topics
     FROM penstock.view_versions WHERE state = 'live'`,
  );
  const gone = live.filter(({ table, topics: fed }) => !tables.has(table) && fed.some(topic => topics.includes(topic)));
  await retireLive(
    queries,
    gone.map(({ table }) => table),
  );
  const toBuild: TablePlan[] = [];
  for (const plan of tables.values()) {
    const current = live.find(({ table }) => table === plan.name);
    if (current?.fingerprint === fingerprintOf(plan)) continue;
    if (current || plan.topics.some(topic => read.has(topic))) toBuild.push(plan);
    else await createVersion(queries, plan, 'live');
  }
  return toBuild;
}
