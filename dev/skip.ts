/**
 * `npm run skip -- <topic>/<partition> <offset> [--folder .penstock]`: has every reader pass over the batch at this offset, which
 * cannot be read. It refuses where it can be read after all. What is skipped is recorded beside the topics.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Registry } from 'prom-client';
import { connectKafka, openLanes, openTopics, recordSkip, SkipRefusedError } from '../lib/kafka/index.ts';
import { ConfigError } from '../lib/ops/config.ts';
import { catalogue, readConfig } from '../lib/ops/index.ts';
import { openLog } from '../lib/ops/log.ts';
import { withRunningStack } from '../services/projector/running-stack.ts';
import { main } from './stack/main.ts';
import { root } from './stack/options.ts';
import { Trouble } from './stack/trouble.ts';

const bufferBytes = 1_048_576;

await main(async () => {
  const { values, positionals } = parseArgs({ options: { folder: { type: 'string' } }, allowPositionals: true });
  const [place = '', offset = '', ...more] = positionals;
  const [, topic, partition] = /^(.+)\/(\d+)$/.exec(place) ?? [];
  if (topic === undefined || !/^\d+$/.test(offset) || more.length > 0) {
    throw new Trouble('usage: npm run skip -- <topic>/<partition> <offset>');
  }
  const env = await withRunningStack(process.env, resolve(root, values.folder ?? '.penstock'));
  const ops = { service: 'skip', log: openLog('skip', 'error'), metrics: new Registry() };
  try {
    const { kafka } = readConfig(catalogue, ['kafka'], env);
    const connection = connectKafka(kafka, ops);
    const topics = openTopics(connection, { honourSkips: false });
    const lanes = openLanes(connection, { bufferBytes });
    const { replicationFactor } = kafka;
    try {
      const at = { topic, partition: Number(partition) };
      const skip = await recordSkip({ topics, lanes, replicationFactor }, at, Number(offset));
      process.stdout.write(`offsets ${skip.from} to ${skip.to - 1} of ${place} are skipped: ${skip.reason}\n`);
    } finally {
      await lanes.close();
      await topics.close();
      await connection.close();
    }
  } catch (error) {
    if (error instanceof ConfigError) throw new Trouble(error.problems.join('; '));
    throw error instanceof SkipRefusedError ? new Trouble(error.message) : error;
  }
});
