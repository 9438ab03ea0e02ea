import type pg from 'pg';
import { Registry } from 'prom-client';
import { type AppPlan, loadApp } from '../../lib/app/index.ts';
import {
  connectKafka,
  describeAssignment,
  type KafkaConnection,
  openLanes,
  openTopics,
  recordGrowth,
  type TopicPartition,
  type Topics,
} from '../../lib/kafka/index.ts';
import { catalogue, readConfig } from '../../lib/ops/index.ts';
import { openLog } from '../../lib/ops/log.ts';
import { openPgPool } from '../../lib/postgres/index.ts';
import { openTransaction } from './open-transaction.ts';

/** Why topics can't be grown now: one line that says what to do. */
export class GrowthRefusedError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'GrowthRefusedError';
  }
}

/**
 * Gives all topics of an app more partitions. Keys move to other partitions by it, so nothing may be on its way: every
 * command has its verdict, every event is in the log, and no Penstock process works on the topics. Where their old partitions
 * end is recorded beside them (lib/kafka/growths.ts) before they grow: by that, gateways find each key's records of before.
 */
export interface Growing {
  /** @throws GrowthRefusedError where topics can't be grown to so many. */
  check(to: number): Promise<void>;
  /** What is still on its way; undefined when there is nothing. */
  backlog(): Promise<string | undefined>;
  /** @throws GrowthRefusedError; what has been done then is gone on with by the next call. */
  grow(to: number): Promise<void>;
  close(): Promise<void>;
}

const sections = ['app', 'kafka', 'postgres', 'ownership', 'handler', 'projector'] as const;
const bufferBytes = 1_048_576;
const fetchBytes = 65_536;

/** @throws ConfigError */
export async function openGrowing(env: Readonly<Record<string, string | undefined>>): Promise<Growing> {
  const config = readConfig(catalogue, sections, env);
  const plan = await loadApp(config.app.schema);
  const ops = { service: 'grow-partitions', log: openLog('grow-partitions', 'error'), metrics: new Registry() };
  const connection = connectKafka(config.kafka, ops);
  const topics = openTopics(connection);
  const lanes = openLanes(connection, { bufferBytes });
  const pool = openPgPool(config.postgres, { max: 1 });
  pool.on('error', () => undefined); // the next query says it
  const names = plan.topics.map(({ name }) => name);
  const groups = [config.ownership.group, config.handler.group, config.projector.group];

  async function check(to: number): Promise<Map<string, number>> {
    const counts = new Map<string, number>();
    for (const name of names) {
      const count = await topics.partitionCount(name);
      if (count === undefined) throw new GrowthRefusedError(`topic ${name} does not exist`);
      counts.set(name, count);
    }
    const smaller = new Set([...counts.values()].filter(count => count !== to));
    const [from] = smaller;
    if (from === undefined) throw new GrowthRefusedError(`the topics have ${to} partitions already`);
    const list = [...counts].map(([name, count]) => `${name} ${count}`).join(', ');
    if (smaller.size > 1) throw new GrowthRefusedError(`the topics do not have the same partition count: ${list}`);
    if (from > to) throw new GrowthRefusedError(`a topic never gets fewer partitions: ${list}`);
    return counts;
  }

  return {
    async check(to) {
      await check(to);
    },
    backlog: () => backlogOf(plan, topics, pool),
    async grow(to) {
      const counts = await check(to);
      await refuseMembers(connection, groups);
      const left = await backlogOf(plan, topics, pool);
      if (left !== undefined) throw new GrowthRefusedError(`${left}: that has to be finished first`);
      const due = [...counts].filter(([, count]) => count !== to);
      const { replicationFactor } = config.kafka;
      for (const [name, from] of due) {
        const { topicId = '' } = (await topics.identity(name)) ?? {};
        const marks = await topics.highWatermarks(name, [...Array(from).keys()]);
        // Asked for later: below these marks nothing is undecided, or a stream would leave the old partition too early.
        const open = await openTransaction(topics, name, marks);
        if (open !== undefined) throw new GrowthRefusedError(open);
        const ends = Array.from({ length: from }, (_, partition) => marks.get(partition) ?? 0);
        await recordGrowth({ topics, lanes, replicationFactor }, name, { from, to, topicId, ends });
      }
      for (const [name] of due) await topics.grow(name, to);
    },
    async close() {
      await lanes.close();
      await topics.close();
      await connection.close();
      await pool.end();
    },
  };
}

async function refuseMembers(connection: KafkaConnection, groups: readonly string[]): Promise<void> {
  for (const group of groups) {
    const { members = [] } = (await describeAssignment(connection, group)) ?? {};
    if (members.length === 0) continue;
    const who = members.map(({ address, memberId }) => address || memberId).join(', ');
    throw new GrowthRefusedError(
      `${members.length} members of the group ${group} are at work (${who}): stop them first`,
    );
  }
}

/** At most so many; 0 where there is none: a position is not moved past what an aborted transaction or a marker takes up. */
async function commandsBetween(topics: Topics, at: TopicPartition, position: number, end: number): Promise<number> {
  for (let next = position; next < end; ) {
    const { records, nextOffset } = await topics.fetch(at, next, fetchBytes);
    // What can't be read on may be commands.
    if (records.length > 0 || nextOffset <= next) return end - position;
    next = nextOffset;
  }
  return 0;
}

async function backlogOf(plan: AppPlan, topics: Topics, pool: pg.Pool): Promise<string | undefined> {
  for (const { name } of plan.topics) {
    const count = (await topics.partitionCount(name)) ?? 0;
    const open = await openTransaction(topics, name, await topics.highWatermarks(name, [...Array(count).keys()]));
    if (open !== undefined) return open;
  }
  const commandTopics = [...new Set([...plan.commands.values()].map(({ topic }) => topic))];
  if (commandTopics.length === 0) return undefined;
  const { rows: known } = await pool.query<{ has: boolean }>(
    `SELECT to_regclass('penstock.command_positions') IS NOT NULL AND to_regclass('penstock.outbox') IS NOT NULL AS has`,
  );
  const has = known[0]?.has === true;
  const positions = new Map<string, number>();
  if (has) {
    const { rows } = await pool.query<{ topic: string; partition: number; position: string }>(
      'SELECT topic, partition, position FROM penstock.command_positions WHERE topic = ANY($1::text[])',
      [commandTopics],
    );
    for (const { topic, partition, position } of rows) positions.set(`${topic}/${partition}`, Number(position));
  }
  let waiting = 0;
  for (const topic of commandTopics) {
    const count = (await topics.partitionCount(topic)) ?? 0;
    for (const [partition, { start, end }] of await topics.offsets(topic, [...Array(count).keys()])) {
      const position = Math.max(start, positions.get(`${topic}/${partition}`) ?? start);
      waiting += await commandsBetween(topics, { topic, partition }, position, end);
    }
  }
  if (waiting > 0) return `${waiting} commands are not taken up`;
  const { rows } = has ? await pool.query<{ count: string }>('SELECT count(*) FROM penstock.outbox') : { rows: [] };
  const unpublished = Number(rows[0]?.count ?? 0);
  return unpublished > 0 ? `${unpublished} events are not published` : undefined;
}
