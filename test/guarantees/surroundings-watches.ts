import { withoutPgBouncer } from '../support/pgbouncer.ts';
import type { Watch } from './watch.ts';

/** Its test is skipped without PgBouncer, and so notices nothing. */
const ofPooling: Watch = {
  guarantee: 'G11',
  name: 'a pooler is believed to keep sessions',
  file: 'lib/postgres/sessions.ts',
  find: 'if (session === toldOf(watched)) return;',
  replace: 'if (session !== undefined) return;',
  caughtBy: {
    file: 'test/lib/postgres/sessions.test.ts',
    test: 'PgBouncer is taken in session mode, and refused in transaction mode with what to do',
  },
};

/** What the servers around us may be: too old, throttled, pooled, grown. Each is refused or told. */
export const surroundingsWatches: readonly Watch[] = [
  ...(withoutPgBouncer === false ? [ofPooling] : []),
  {
    guarantee: 'G11',
    name: 'records of partitions that nobody reads are no reason',
    file: 'lib/kafka/partition-watch.ts',
    find: "ops.readiness.set('topics', hasRecords ? text : undefined);",
    replace: '',
    caughtBy: {
      file: 'test/lib/kafka/partition-watch.test.ts',
      test: 'partitions added by other means are warned of while they are empty, and a reason once they have records',
    },
  },
  {
    guarantee: 'G6',
    name: 'a stream goes on without the records of a partition that nobody reads',
    file: 'services/gateway/streams/unread.ts',
    find: 'if (isIncomplete(partitions.of(topic), key)) stream.close();',
    replace: '',
    caughtBy: {
      file: 'test/services/gateway/streams/unread.test.ts',
      test: 'streams whose records lie in a partition that nobody reads are closed with 1013, and no others are',
    },
  },
  {
    guarantee: 'G11',
    name: 'a broker that is too old is taken',
    file: 'lib/kafka/link.ts',
    find: 'const refusal = refusalOf(broker.versions ?? {});',
    replace: 'const refusal: string | undefined = undefined;',
    caughtBy: {
      file: 'test/lib/kafka/old-broker.test.ts',
      test: 'one old broker among others is told in readiness, and the others are used',
    },
  },
  {
    guarantee: 'G11',
    name: 'the pause of a quota counts as time-out of what is under way',
    file: 'lib/kafka/link.ts',
    find: 'underWay.sentAt = Math.max(underWay.sentAt, until);',
    replace: '',
    caughtBy: {
      file: 'test/lib/kafka/quota.test.ts',
      test: 'reads that share a connection wait together behind a pause, and none of them fails',
    },
  },
  {
    guarantee: 'G11',
    name: 'a request goes to a broker that takes nothing for now',
    file: 'lib/kafka/link.ts',
    find: 'return { ...decoded, clientSideThrottleTime: pauseMs };',
    replace: 'return { ...decoded, clientSideThrottleTime: 0 };',
    caughtBy: {
      file: 'test/lib/kafka/quota.test.ts',
      test: 'a producer that is throttled for longer than its time-out sends each record once, behind the pause',
    },
  },
];
