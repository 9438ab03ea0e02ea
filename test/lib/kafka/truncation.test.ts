// runs apart: three brokers of its own are killed, and the one that is behind is elected
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import {
  type KafkaRecord,
  LogTruncatedError,
  openLanes,
  openReader,
  type ReadFaultAt,
} from '../../../lib/kafka/index.ts';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { openScratchKafka, type ScratchKafka } from '../../support/scratch-kafka.ts';
import { openUncleanElections, type UncleanElections } from '../../support/unclean-election.ts';
import { until } from '../../support/until.ts';

let brokers: ScratchBrokers;
let kafka: ScratchKafka;
let elections: UncleanElections;
before(async () => {
  brokers = await startScratchBrokers(3);
  kafka = openScratchKafka(brokers.addresses);
  elections = await openUncleanElections(brokers);
});
after(async () => {
  await elections?.close();
  await kafka?.close();
  await brokers?.close();
});

test('a log that was truncated and has grown again under another leader is told to who reads it, and is not read on', async () => {
  const topic = 'truncated';
  const at = { topic, partition: 0 };
  await elections.topic(topic);
  const lanes = openLanes(kafka.connection, { bufferBytes: 1_000_000, deliveryTimeoutMs: 120_000 });
  const write = (name: string, count: number) =>
    Promise.all(Array.from({ length: count }, (_, n) => lanes.send(at, { key: 'k', value: `${name} ${n}` })));
  const reader = openReader(kafka.connection, { maxWaitMs: 100, partitionBytes: 262_144 });
  const read: KafkaRecord[] = [];
  const faults: ReadFaultAt[] = [];
  const sink = {
    onBatch: ({ records }: { records: readonly KafkaRecord[] }) => void read.push(...records),
    onFault: (fault: string, where: ReadFaultAt) => {
      assert.equal(fault, 'TRUNCATED');
      faults.push(where);
    },
  };
  reader.assign(at, 0, sink);
  await write('kept', 10);
  await elections.leaveBehind();
  await write('lost', 5);
  await until('all is read', () => read.length === 15);
  const [last] = read.slice(-1);
  const lastEpoch = last?.leaderEpoch;
  assert.ok(lastEpoch !== undefined && lastEpoch >= 0);
  reader.unassign(at);
  const kept = read[9]?.leaderEpoch;
  await elections.elect();
  await write('other', 10);

  // Its next offset is there again: only the epoch tells that this is another history.
  reader.assign(at, 15, sink, undefined, lastEpoch);
  await until('the reader is told', () => faults.length > 0);
  assert.deepEqual(faults, [{ ...at, offset: 15, lastEpoch, diverging: { leaderEpoch: kept, endOffset: 10 } }]);
  assert.equal(read.length, 15);
  assert.equal(reader.position(at), undefined);

  await assert.rejects(
    kafka.topics.fetch(at, 15, 1_000, lastEpoch),
    (error: unknown) => error instanceof LogTruncatedError && error.diverging.endOffset === 10,
  );
  assert.deepEqual(await kafka.topics.epochEnd(at, lastEpoch), { leaderEpoch: kept, endOffset: 10 });

  reader.assign(at, 10, sink, undefined, kept);
  await until('what is common is gone on from', () => read.length === 25);
  assert.deepEqual(
    read.slice(15).map(({ value }) => `${value}`),
    Array.from({ length: 10 }, (_, n) => `other ${n}`),
  );
  assert.equal(faults.length, 1);

  // An epoch that no leader has had: of a cluster that has lost its own past, not of a broker that is behind.
  assert.equal((await kafka.topics.epochEnd(at, lastEpoch + 1_000))?.endOffset, 0);
  await reader.close();
  await lanes.close();
});
