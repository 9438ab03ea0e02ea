import type { Topics } from '../kafka/index.ts';

/** Whether the fleet's topic can be used, and what an operator does where it cannot. */
export type FleetTopic = { kind: 'there'; partitions: number } | { kind: 'missing' | 'off'; advice: string };

/** The topic as it is created: each key's newest state is kept, and what came before it goes soon. */
const config = {
  'cleanup.policy': 'compact',
  // The console tells the age of a state by the broker's clock.
  'message.timestamp.type': 'LogAppendTime',
  // Only closed segments are compacted. Whoever opens the console reads all that is there.
  'segment.bytes': '1048576',
  'min.cleanable.dirty.ratio': '0.1',
  'delete.retention.ms': '3600000',
};

const off: FleetTopic = {
  kind: 'off',
  advice: 'PENSTOCK_FLEET_TOPIC is empty: give it a name, and restart the services',
};

/** Looks for the topic, and creates it where `create` says how. @throws KafkaUnavailableError; what refuses the creation. */
export async function findFleetTopic(
  topics: Pick<Topics, 'partitionCount' | 'ensure'>,
  name: string,
  create?: { replicationFactor: number } | undefined,
): Promise<FleetTopic> {
  if (name === '') return off;
  const found = await topics.partitionCount(name);
  if (found !== undefined) return { kind: 'there', partitions: found };
  if (create === undefined) return { kind: 'missing', advice: adviceFor(name) };
  await topics.ensure([{ name, partitions: 1, replicationFactor: create.replicationFactor, config }]);
  return { kind: 'there', partitions: 1 };
}

/** Returns the command that creates the topic. */
function adviceFor(name: string): string {
  const options = Object.entries(config).map(([key, value]) => `--config ${key}=${value}`);
  const command = `kafka-topics.sh --bootstrap-server <broker> --create --topic ${name} --partitions 1 ${options.join(' ')}`;
  return `the topic ${name} does not exist: the chart's set-up job creates it (node jobs/setup.js topics --services gateway), as does: ${command}`;
}
