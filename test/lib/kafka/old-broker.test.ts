import assert from 'node:assert/strict';
import { test } from 'node:test';
import { apis, refusalOf } from '../../../lib/kafka/wire/apis.ts';
import { kafka30, openOldBroker } from '../../support/old-broker.ts';
import { kafkaAddress, openScratchKafka } from '../../support/scratch-kafka.ts';
import { until } from '../../support/until.ts';

const lacks = 'does not speak Fetch 13 (it has 4 to 12), Metadata 12 (it has 0 to 11)';

test('a broker that is too old is refused by name, with what it lacks and what to do, until it is upgraded', async () => {
  const old = await openOldBroker(kafkaAddress(), kafka30);
  const kafka = openScratchKafka([old.address]);
  await assert.rejects(kafka.topics.clusterId(), ({ message }: Error) => {
    assert.ok(message.includes(`${old.address}: the broker ${lacks}`), message);
    assert.match(message, /Penstock needs Kafka 3\.1 or later, upgrade this broker$/);
    return true;
  });
  const { brokers = '' } = kafka.ops.readiness.reasons();
  assert.ok(brokers.includes(`${old.address}: the broker ${lacks}`), brokers);
  old.upgrade();
  await until('the upgraded broker is taken', async () => (await kafka.topics.clusterId()) !== '');
  assert.deepEqual(kafka.ops.readiness.reasons(), {});
  await kafka.close();
  await old.close();
});

test('one old broker among others is told in readiness, and the others are used', async () => {
  const old = await openOldBroker(kafkaAddress(), kafka30);
  const kafka = openScratchKafka([old.address, kafkaAddress()]);
  assert.notEqual(await kafka.topics.clusterId(), '');
  assert.ok(kafka.ops.readiness.reasons().brokers?.includes(old.address));
  await kafka.close();
  await old.close();
});

test('a broker is refused for an API that it lacks, has in older versions only, or has in newer ones only', () => {
  const ours = Object.values(apis);
  const exactly = Object.fromEntries(
    ours.map(({ apiKey, apiVersion }) => [apiKey, { minVersion: apiVersion, maxVersion: apiVersion }]),
  );
  assert.equal(refusalOf(exactly), undefined);
  for (const { apiKey, apiVersion, apiName } of ours) {
    const { [apiKey]: _, ...without } = exactly;
    const older = { ...exactly, [apiKey]: { minVersion: 0, maxVersion: apiVersion - 1 } };
    const newer = { ...exactly, [apiKey]: { minVersion: apiVersion + 1, maxVersion: apiVersion + 2 } };
    for (const versions of [without, older, newer]) {
      assert.ok(refusalOf(versions)?.includes(`not speak ${apiName} ${apiVersion} (it has `));
    }
  }
});
