import { type GraphQLSchema, getLocation, Kind, type ValueNode, visit } from 'graphql';
import { type AppPlan, SchemaError, type SchemaProblem } from '../../lib/app/index.ts';
import { type Growths, readGrowths, type TopicSpec, type Topics } from '../../lib/kafka/index.ts';
import type { PenstockConfig } from '../../lib/ops/index.ts';

/** What the brokers say about the app's topics. */
export interface TopicFacts {
  clusterId: string;
  /** The same for all of them. */
  partitionCount: number;
  /** How they came to it. */
  growths: Growths;
}

/** The gateway keeps events for ever, and trusts the brokers' clocks only. */
const topicConfig = { 'retention.ms': '-1', 'message.timestamp.type': 'LogAppendTime' };

type TopicsConfig = Pick<PenstockConfig<'kafka'>['kafka'], 'createTopics' | 'partitions' | 'replicationFactor'>;

/**
 * Looks the schema's topics up, and creates those that are missing where that is configured.
 * @throws SchemaError naming, with file and line, each topic that is missing, or has another partition count than the
 *   first; PartitionCountError where an existing topic has another count than those that are created; KafkaUnavailableError.
 */
export async function prepareTopics(plan: AppPlan, topics: Topics, config: TopicsConfig): Promise<TopicFacts> {
  const names = plan.topics.map(({ name }) => name);
  if (config.createTopics) await topics.ensure(names.map(name => specOf(name, config)));
  const counts = new Map<string, number | undefined>();
  for (const name of names) counts.set(name, await topics.partitionCount(name));
  const problems = problemsOf(plan.schema, counts);
  if (problems.length > 0) throw new SchemaError(problems);
  const [partitionCount = config.partitions] = counts.values();
  return { clusterId: await topics.clusterId(), partitionCount, growths: await readGrowths(topics, names) };
}

function specOf(name: string, { partitions, replicationFactor }: TopicsConfig): TopicSpec {
  return { name, partitions, replicationFactor, config: topicConfig };
}

/** What is wrong with topics of these partition counts (undefined: missing), each at its first mention in the schema. */
export function problemsOf(
  schema: GraphQLSchema,
  counts: ReadonlyMap<string, number | undefined>,
): readonly SchemaProblem[] {
  const [first] = [...counts].filter(([, count]) => count !== undefined);
  return [...counts].flatMap(([name, count]) => {
    const place = firstMention(schema, name);
    if (count === undefined) return [{ ...place, message: `topic "${name}" does not exist` }];
    if (first === undefined || count === first[1]) return [];
    const fact = `topic "${name}" has ${count} partitions, but "${first[0]}" has ${first[1]}: they must be the same`;
    const message = `${fact}; npm run grow-partitions gives all topics as many (docs/growing-topics.md)`;
    return [{ ...place, message }];
  });
}

function firstMention(schema: GraphQLSchema, topic: string): Omit<SchemaProblem, 'message'> {
  const places: Omit<SchemaProblem, 'message'>[] = [];
  for (const type of Object.values(schema.getTypeMap())) {
    if (!type.astNode) continue;
    visit(type.astNode, {
      Directive({ arguments: given }) {
        for (const { value } of given ?? []) {
          if (!names(value, topic) || !value.loc) continue;
          places.push({ file: value.loc.source.name, ...getLocation(value.loc.source, value.loc.start) });
        }
      },
    });
  }
  places.sort((a, b) => a.line - b.line || a.column - b.column);
  return places[0] ?? { file: 'PENSTOCK_SCHEMA', line: 1, column: 1 };
}

function names(value: ValueNode, topic: string): boolean {
  if (value.kind === Kind.LIST) return value.values.some(item => names(item, topic));
  return value.kind === Kind.STRING && value.value === topic;
}
