/** `node dev/infra.ts [--folder X] [--brokers 3] [--tls] …`: only Kafka, Redis and PostgreSQL, until a signal. */
import { main } from './stack/main.ts';
import { parseOptions } from './stack/options.ts';
import { runStack } from './stack/run.ts';
import { reportToStderr } from './stack/trouble.ts';

await main(signal =>
  runStack(parseOptions(process.argv.slice(2)), {
    env: process.env,
    report: reportToStderr,
    onReady(_, { kafka, kafkaCaFile, redis, postgres }) {
      const ca = kafkaCaFile === undefined ? '' : ` TEST_KAFKA_CA=${kafkaCaFile}`;
      process.stdout.write(`ready TEST_KAFKA=${kafka.join(',')} TEST_REDIS=${redis} TEST_POSTGRES=${postgres}${ca}\n`);
    },
    signal,
    withServices: false,
  }),
);
