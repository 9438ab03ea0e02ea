import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Cluster } from '../../../lib/kafka/cluster.ts';
import type { Link, LinkSettings } from '../../../lib/kafka/link.ts';
import { codes } from '../../../lib/kafka/wire/error-codes.ts';
import type { MetadataAnswer } from '../../../lib/kafka/wire/requests.ts';

const brokers = [1, 2].map(nodeId => ({ nodeId, host: 'broker', port: nodeId }));

/** Partition by partition: the leader, and its epoch. */
function answer(topicId: string, ...leaders: readonly [leader: number, leaderEpoch: number][]): MetadataAnswer {
  const partitions = leaders.map(([leader, leaderEpoch], partition) => ({
    ...{ partition, errorCode: codes.NONE, leader, leaderEpoch },
  }));
  const topics = [{ topic: 't', topicId, errorCode: codes.NONE, partitions }];
  return { brokers, clusterId: 'c', controllerId: 1, topics };
}

/** One whose brokers say what the test does, for no broker can be made to tell of a past on demand. */
class ToldCluster extends Cluster {
  readonly #answers: MetadataAnswer[];

  constructor(...answers: MetadataAnswer[]) {
    super([], {} as LinkSettings, 'test', () => undefined);
    this.#answers = answers;
  }

  override anyLink(): Promise<Link> {
    return Promise.resolve({ send: async () => this.#answers.shift() } as unknown as Link);
  }
}

test('a broker that tells of an earlier election of a partition is not believed about it, also when its leader is in doubt', async () => {
  const cluster = new ToldCluster(
    answer('id', [2, 5], [1, 3]),
    answer('id', [1, 4], [2, 4]),
    answer('id', [1, 6], [2, 4]),
  );
  await cluster.freshTopic('t');
  cluster.doubt('t');
  assert.equal(cluster.leaderOf('t', 0), undefined);
  const { partitions } = await cluster.freshTopic('t');
  assert.deepEqual(
    partitions.map(({ leader, leaderEpoch }) => [leader, leaderEpoch]),
    [
      [2, 5],
      [2, 4],
    ],
  );
  assert.deepEqual([cluster.leaderOf('t', 0), cluster.leaderOf('t', 1)], [2, 2]);
  await cluster.freshTopic('t');
  assert.equal(cluster.leaderOf('t', 0), 1);
});

test('elections are counted anew in a topic that was made anew, and in one that was forgotten', async () => {
  const cluster = new ToldCluster(
    answer('id', [2, 5]),
    answer('anew', [1, 0]),
    answer('anew', [2, 4]),
    answer('anew', [1, 1]),
  );
  await cluster.freshTopic('t');
  await cluster.freshTopic('t');
  assert.equal(cluster.leaderOf('t', 0), 1);
  await cluster.freshTopic('t');
  cluster.forget('t');
  await cluster.freshTopic('t');
  assert.equal(cluster.leaderOf('t', 0), 1);
});
