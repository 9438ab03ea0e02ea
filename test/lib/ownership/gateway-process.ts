/** A gateway's side of ownership in a process of its own, to be killed: says "joined", then only lives. */
import { connectKafka } from '../../../lib/kafka/index.ts';
import { joinOwnership } from '../../../lib/ownership/index.ts';
import { openRedis } from '../../../lib/redis/index.ts';
import { quietOps } from '../../support/quiet-ops.ts';

const options = JSON.parse(process.argv[2] ?? '{}');
const ops = quietOps('gateway');
const ownership = await joinOwnership({
  ...options,
  connection: connectKafka(options.config.kafka, ops),
  redis: openRedis({ url: options.redisUrl, tlsCaFile: undefined }, ops),
  ops,
});
process.stdout.write('joined\n');
process.on('SIGTERM', () => void ownership.close().then(() => process.exit(0)));
