import { whyNoPreviousRelease } from '../skew/previous.ts';
import type { Watch } from './watch.ts';

const messages = 'test/skew/messages.test.ts';
const stores = 'test/skew/stores.test.ts';
const ofCursors = 'a cursor of this release is good at gateways of the previous one, which see no leader epochs in it';

const watches: readonly Watch[] = [
  {
    guarantee: 'G24',
    name: 'a cursor version that the previous release does not read',
    file: 'lib/replay/cursor.ts',
    find: 'const version = 2;',
    replace: 'const version = 3;',
    caughtBy: { file: messages, test: ofCursors },
  },
  {
    guarantee: 'G24',
    name: 'a group protocol that the previous release does not speak',
    file: 'lib/kafka/member-protocol.ts',
    find: "'penstock-sticky-copartition'",
    replace: "'penstock-sticky-copartition-2'",
    caughtBy: { file: messages, test: 'members of both releases share out a group, whichever of them leads it' },
  },
  {
    guarantee: 'G24',
    name: 'what a member tells of itself under another name',
    file: 'lib/kafka/member-protocol.ts',
    find: 'userData: Buffer.from(JSON.stringify(state)) });',
    replace: 'userData: Buffer.from(JSON.stringify({ version: 2, state })) });',
    caughtBy: { file: messages, test: 'members of both releases share out a group, whichever of them leads it' },
  },
  {
    guarantee: 'G24',
    name: 'a leader epoch of another position believed by a projector',
    file: 'services/projector/positions.ts',
    find: 'CASE WHEN leader_epoch_at = next THEN leader_epoch END AS "leaderEpoch"',
    replace: 'leader_epoch AS "leaderEpoch"',
    caughtBy: {
      file: stores,
      test: 'a leader epoch that a projector of the previous release left behind is not that of its position',
    },
  },
  {
    guarantee: 'G24',
    name: 'a leader epoch of another position believed by a handler',
    file: 'services/command-handler/claims.ts',
    find: 'CASE WHEN stored.leader_epoch_at = stored.position THEN stored.leader_epoch END',
    replace: 'stored.leader_epoch',
    caughtBy: {
      file: stores,
      test: 'a leader epoch that a handler of the previous release left behind is not that of its position',
    },
  },
  {
    guarantee: 'G24',
    name: 'queries that need an upgraded projector',
    file: 'lib/views/snapshot.ts',
    find: 'CASE WHEN leader_epoch_at = next THEN leader_epoch END',
    replace: 'CASE WHEN view_positions.leader_epoch_at = next THEN leader_epoch END',
    caughtBy: {
      file: stores,
      test: 'a gateway answers queries from tables of the previous release, and goes on when they are brought up to date',
    },
  },
  {
    guarantee: 'G24',
    name: 'an epoch of another tail believed in the replay buffer',
    file: 'lib/replay/buffer/store.ts',
    find: 'return epoch !== undefined && Number(offset) === tail ? Number(epoch) : undefined;',
    replace: 'return epoch !== undefined && Number(offset) >= 0 ? Number(epoch) : undefined;',
    caughtBy: {
      file: stores,
      test: 'gateways of both releases keep one replay buffer, and neither takes an epoch of another tail for that of its own',
    },
  },
  {
    guarantee: 'G24',
    name: 'an entry of the replay buffer that begins with its epoch',
    file: 'lib/replay/buffer/entry.ts',
    find: '  writer.reset();\n',
    replace: '  writer.reset();\n  writer.varint(leaderEpoch + 1);\n',
    caughtBy: {
      file: stores,
      test: 'gateways of both releases keep one replay buffer, and neither takes an epoch of another tail for that of its own',
    },
  },
];

/** What the previous release reads too; it is not there in a shallow clone, and then nothing would be noticed. */
export const skewWatches: readonly Watch[] = whyNoPreviousRelease() === false ? watches : [];
