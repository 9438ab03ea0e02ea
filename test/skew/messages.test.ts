// What the processes of two releases tell each other, and what clients carry from one to the other.
import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import * as protocol from '../../lib/kafka/member-protocol.ts';
import * as cursorUse from '../../lib/replay/check-cursor.ts';
import * as cursor from '../../lib/replay/cursor.ts';
import type { Position } from '../../lib/replay/types.ts';
import { openPreviousRelease, type PreviousRelease, whyNoPreviousRelease } from './previous.ts';

const skip = whyNoPreviousRelease();
let previous: PreviousRelease;
before(() => {
  if (skip === false) previous = openPreviousRelease();
});
after(() => previous?.remove());

const secrets = `k1:${Buffer.alloc(32, 7).toString('base64')}`;
const place = { topic: 'notes', partition: 3, offset: 17, timestampMs: 1_790_000_000_000 };
const other = { topic: 'other', partition: 0, offset: -1, timestampMs: -1 };
const position: Position = {
  ...{ kind: 'view', userKey: 'alice', binding: '', clusterId: 'cluster' },
  partitions: [{ ...place, leaderEpoch: 2 }, other],
  sequences: { notes: 5 },
  topicMarks: { notes: 'q2Lr8mVh' },
};
const use = { userKey: 'alice', binding: 'notes', topic: 'notes', clusterId: 'cluster' };
const without = { partitions: [place], sequences: { notes: 5 }, topicMarks: { notes: 'q2Lr8mVh' } };

test('a cursor of this release is good at gateways of the previous one, which see no leader epochs in it', {
  skip,
}, async () => {
  const codec = (await previous.load<typeof cursor>('lib/replay/cursor.ts')).openCursorCodec(secrets);
  const check = (await previous.load<typeof cursorUse>('lib/replay/check-cursor.ts')).checkCursor;
  const { format } = cursor.openCursorCodec(secrets);
  assert.deepEqual(check(codec.parse(format(position)), use), without);
  const ofStream: Position = { ...position, kind: 'stream', binding: 'notes' };
  assert.deepEqual(check(codec.parse(format(ofStream)), use), without);
});

test('a cursor of the previous release is good at gateways of this one', { skip }, async () => {
  const { format } = (await previous.load<typeof cursor>('lib/replay/cursor.ts')).openCursorCodec(secrets);
  assert.deepEqual(cursorUse.checkCursor(cursor.openCursorCodec(secrets).parse(format(position)), use), without);
});

test('members of both releases share out a group, whichever of them leads it', { skip }, async () => {
  const old = await previous.load<typeof protocol>('lib/kafka/member-protocol.ts');
  assert.equal(protocol.protocolName, old.protocolName, 'the broker lets no member in that speaks another protocol');
  const state = (port: number, owned: number[]) => ({
    ...{ address: `http://gateway:${port}`, peer: `gateway:${port + 1}`, owned, generation: 7 },
  });
  const members = [
    { memberId: 'old', memberMetadata: old.encodeState(['notes'], state(1, [0, 1])) },
    { memberId: 'new', memberMetadata: protocol.encodeState(['notes'], state(3, [2, 3])) },
  ];
  for (const leader of [old, protocol]) {
    const shares = leader.shareOut(members, { notes: 4 }, 8);
    for (const reader of [old, protocol]) {
      const read = new Map(shares.map(share => [share.memberId, reader.decodeShare(share.memberAssignment)]));
      const common = {
        generation: 8,
        routing: { 'http://gateway:1': [0, 1], 'http://gateway:3': [2, 3] },
        peers: ['gateway:2', 'gateway:4'],
      };
      assert.deepEqual(read.get('old'), { ...common, partitions: [0, 1] });
      assert.deepEqual(read.get('new'), { ...common, partitions: [2, 3] });
    }
  }
});
