import assert from 'node:assert/strict';
import { test } from 'node:test';
import { dumpTopic, testKafka } from './dump.ts';
import { kafkaAddress, openScratchKafka } from './scratch-kafka.ts';
import { openTransactionalProducer } from './transactional-producer.ts';

test('a dump has what is committed, and ends where a partition ends with a marker or an aborted transaction', async () => {
  const kafka = openScratchKafka();
  const producer = await openTransactionalProducer([kafkaAddress()]);
  try {
    const topic = await kafka.topic(3);
    for (const [partition, outcomes] of [['commit'], ['abort'], ['commit', 'abort']].entries()) {
      for (const outcome of outcomes) {
        const transaction = await producer.begin();
        await transaction.send({ topic, partition }, [JSON.stringify({ outcome })]);
        await (outcome === 'commit' ? transaction.commit() : transaction.abort());
      }
    }
    const records = await dumpTopic(testKafka([kafkaAddress()]), topic, 20_000);
    assert.deepEqual(
      records.map(({ partition, value }) => [partition, value?.outcome]),
      [
        [0, 'commit'],
        [2, 'commit'],
      ],
    );
  } finally {
    await producer.close();
    await kafka.close();
  }
});
