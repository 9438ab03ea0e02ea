/** A gateway's side of ownership in a process of its own, to be killed: says "joined", then only lives. */
import { connectKafka } from '../../../lib/kafka/index.ts';
import { joinOwnership, openRedis } from '../../../lib/ownership/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
const ops = quietOps('gateway');
const ownership = await joinOwnership({
  ...options,
  connection: connectKafka(options.config.kafka, ops),
  redis: openRedis(options.redisUrl, ops),
  ops,
});
process.stdout.write('joined\n');
process.on('SIGTERM', () => void ownership.close().then(() => process.exit(0)));
