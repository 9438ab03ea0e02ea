import type { Watch } from './watch.ts';

/** What the log, the ledger and the views may rely on: order, zombies, poison, outages. */
export const logWatches: readonly Watch[] = [
  {
    guarantee: 'G5',
    name: 'a row that is refused while its partition is begun anew is forgotten',
    file: 'services/command-handler/publisher.ts',
    find: 'if (!outbox.abandon(row)) return;',
    replace: 'outbox.abandon(row); if (mending.has(row.partition)) return;',
    caughtBy: {
      file: 'test/services/command-handler/publisher.test.ts',
      test: 'a row that Kafka refuses while its partition is begun anew for another one is sent again',
    },
  },
  {
    guarantee: 'G8',
    name: "a key's records go by time",
    file: 'services/projector/merge.ts',
    find: 'return a.sequence - b.sequence || ',
    replace: 'return a.timestampMs - b.timestampMs || ',
    caughtBy: {
      file: 'test/services/projector/merge.test.ts',
      test: 'each field shows the newest value that there is: by sequence for one key, by time between keys',
    },
  },
  {
    guarantee: 'G8',
    name: 'the order between keys is that of reading',
    file: 'services/projector/merge.ts',
    find: 'merged.sort((a, b) => compareByTime(b.stamp, a.stamp));',
    replace: '',
    caughtBy: {
      file: 'test/services/projector/merge.test.ts',
      test: 'whichever order partitions of several topics are read in, the row is the same',
    },
  },
  {
    guarantee: 'G8',
    name: 'the last tombstone that is read counts, not the newest',
    file: 'services/projector/merge.ts',
    find: 'if (held !== undefined && compareInLineage(stamp, held) <= 0) return tombstones;',
    replace: '',
    caughtBy: {
      file: 'test/services/projector/merge.test.ts',
      test: 'tombstones delete the same, whether they are read before or after what they delete',
    },
  },
  {
    guarantee: 'G8',
    name: 'the position passes a batch that its sink has not taken',
    file: 'lib/kafka/reading.ts',
    find: 'this.position = from;',
    replace: '',
    caughtBy: {
      file: 'test/lib/kafka/reader.test.ts',
      test: 'a batch that its sink does not take comes again from its beginning, before anything behind it',
    },
  },
  {
    guarantee: 'G8',
    name: "a projector's transaction sees the database as it was when it began",
    file: 'services/projector/store.ts',
    find: 'BEGIN ISOLATION LEVEL READ COMMITTED',
    replace: 'BEGIN ISOLATION LEVEL REPEATABLE READ',
    caughtBy: {
      file: 'test/services/projector/rebuild.test.ts',
      test: "a batch that waits for a swap goes to the new version, also where the database's default is repeatable read",
    },
  },
  {
    guarantee: 'G9',
    name: "a handler's epoch is not checked",
    file: 'services/command-handler/statements.ts',
    find: 'AND stored.epoch = wanted.epoch AND stored.position',
    replace: 'AND stored.position',
    caughtBy: {
      file: 'test/services/command-handler/process-batch.test.ts',
      test: 'a zombie whose partition was claimed changes nothing, in none of its partitions',
    },
  },
  {
    guarantee: 'G9',
    name: "an older generation's claim is taken for a successor's in doubt",
    file: 'lib/ownership/holdings.ts',
    find: 'if (successor.generation > tenure.generation) unassign(partition);',
    replace: 'unassign(partition);',
    caughtBy: {
      file: 'test/lib/ownership/fleet.test.ts',
      test: 'a gateway in doubt takes no older claim for its successor, whatever its epoch',
    },
  },
  {
    guarantee: 'G10',
    name: 'a position passes a record whose dead letter is not written',
    file: 'services/projector/worker.ts',
    find: 'next: first?.record.offset ?? next',
    replace: 'next',
    caughtBy: {
      file: 'test/services/projector/projector.test.ts',
      test: 'a partition whose dead letter cannot be written waits and says so; all others go on; nothing is lost',
    },
  },
  {
    guarantee: 'G10',
    name: 'a letter that can not be written holds up every partition',
    file: 'services/projector/feeds.ts',
    find: 'feed.hasWork && !this.#blocked.has(feed)',
    replace: 'feed.hasWork && this.#blocked.size === 0',
    caughtBy: {
      file: 'test/services/projector/letters.test.ts',
      test: 'while a letter is under way its partition waits, and no other; a letter that takes long is told',
    },
  },
  {
    guarantee: 'G10',
    name: 'a command that cannot be saved gets no verdict',
    file: 'services/command-handler/worker.ts',
    find: "intake.refusal === undefined ? { ...intake, refusal: 'internal error' } : deadIntakeOf(intake)",
    replace: 'deadIntakeOf(intake)',
    caughtBy: {
      file: 'test/services/command-handler/worker.test.ts',
      test: 'a command that cannot be saved is found by halving, refused, and all others take effect in order',
    },
  },
  {
    guarantee: 'G10',
    name: 'a decision that throws takes its batch along',
    file: 'services/command-handler/decide-batch.ts',
    find: "return { key: command.userKey, commandId: command.id, reason: 'internal error', cause };",
    replace: 'throw cause;',
    caughtBy: {
      file: 'test/services/command-handler/decide-batch.test.ts',
      test: 'a decision that throws asks for the batch to be decided again without it',
    },
  },
  {
    guarantee: 'G10',
    name: 'a record that does not fit ends its stream',
    file: 'services/gateway/streams/records.ts',
    find: 'return found.filled.ok ? found.filled.value : undefined;',
    replace: 'if (!found.filled.ok) throw new Error(found.filled.reason); return found.filled.value;',
    caughtBy: {
      file: 'test/services/gateway/streams/streams.test.ts',
      test: 'tombstones and records that do not fit are skipped and counted, and the stream goes on',
    },
  },
  {
    guarantee: 'G11',
    name: 'a process is ready whatever it misses',
    file: 'lib/ops/admin.ts',
    find: 'const ready = Object.keys(reasons).length === 0;',
    replace: 'const ready = true;',
    caughtBy: {
      file: 'test/lib/ops/ops.test.ts',
      test: 'readyz answers 503 with each reason until all are cleared, livez answers 200 all the while',
    },
  },
  {
    guarantee: 'G11',
    name: 'a connection that broke is not opened again',
    file: 'services/command-handler/notifications.ts',
    find: 'await pause(retryMs, ending.signal);',
    replace: 'return;',
    caughtBy: {
      file: 'test/services/command-handler/outages.test.ts',
      test: 'PostgreSQL absent at start and going away later: not ready with the reason, and on it goes without a restart',
    },
  },
  {
    guarantee: 'G11',
    name: 'a reason outlives the partition that it was about',
    file: 'services/projector/worker.ts',
    find: "ops.readiness.set('rows', undefined);\n        failures = 0;\n        if",
    replace: 'if',
    caughtBy: {
      file: 'test/services/projector/readiness.test.ts',
      test: 'records that could not be applied are no reason any more when their partition is another projector’s',
    },
  },
  {
    guarantee: 'G11',
    name: 'a partition that Kafka takes nothing for fills the window of all',
    file: 'services/command-handler/sender.ts',
    find: 'return own === 0 || own * share < windowBytes - bytes;',
    replace: 'return own * share >= 0 && bytes < windowBytes;',
    caughtBy: {
      file: 'test/services/command-handler/publisher.test.ts',
      test: 'rows of a partition that Kafka does not acknowledge, however many, hide none of another partition',
    },
  },
  {
    guarantee: 'G12',
    name: 'a batch whose answer was lost goes again under a new sequence',
    file: 'lib/kafka/lane.ts',
    find: 'if (this.batch !== undefined) return this.batch;',
    replace: 'if (this.batch !== undefined) { this.#nextSequence += this.batch.passengers.length; this.#unload(); }',
    caughtBy: {
      file: 'test/lib/kafka/lane.test.ts',
      test: 'whatever answers get lost, records are in the log once and in order; after a new producer none is missing',
    },
  },
  {
    guarantee: 'G3',
    name: 'that an answer was lost is forgotten when the batch goes again under another producer',
    file: 'lib/kafka/lane.ts',
    find: 'for (const passenger of this.batch.passengers) passenger.unsure = true;',
    replace: '',
    caughtBy: {
      file: 'test/lib/kafka/lane.test.ts',
      test: 'a record of a batch whose answer was lost may be in the log, also after the batch goes again under another producer',
    },
  },
  {
    guarantee: 'G12',
    name: 'a record that is given up for its age leaves the younger ones of its key behind',
    file: 'lib/kafka/lanes.ts',
    find: "if (late.length > 0) giveUp(lane, late, timedOut('not-written'));",
    replace: "for (const passenger of late) fail(passenger, timedOut('not-written'));",
    caughtBy: {
      file: 'test/lib/kafka/lanes.test.ts',
      test: 'a record that is given up for its age takes along the younger ones of its key, and no others',
    },
  },
  {
    guarantee: 'G17',
    name: 'a ledger that has gone back is gone on with',
    file: 'services/command-handler/ledger-check.ts',
    find: 'if (first !== undefined) {',
    replace: 'if (first === undefined && found.length > 0) {',
    caughtBy: {
      file: 'test/services/command-handler/went-back.test.ts',
      test: 'a handler that starts on a restored backup decides and publishes nothing, and says why; replayed, money and events are whole',
    },
  },
  {
    guarantee: 'G17',
    name: 'a connection to another database is taken for one to the same',
    file: 'services/command-handler/database-watch.ts',
    find: 'if (before === undefined || before === identity) return;',
    replace: 'return;',
    caughtBy: {
      file: 'test/services/command-handler/went-back.test.ts',
      test: 'handlers whose database is replaced while they run stop, also the one whose own positions are right; with the newer one back they go on',
    },
  },
  {
    guarantee: 'G17',
    name: 'the end of the log is no witness',
    file: 'services/command-handler/evidence.ts',
    find: 'if (known.sequence < reached) {',
    replace: 'if (known.sequence < 0) {',
    caughtBy: {
      file: 'test/services/command-handler/evidence.test.ts',
      test: 'a record is evidence where the ledger has not given its sequence, or has another verdict on its command',
    },
  },
  {
    guarantee: 'G17',
    name: 'sequences are not raised above those in the log',
    file: 'services/command-handler/reconcile.ts',
    find: 'SET sequence = GREATEST(stored.sequence, excluded.sequence)',
    replace: 'SET sequence = stored.sequence',
    caughtBy: {
      file: 'test/services/command-handler/went-back.test.ts',
      test: 'a handler that starts on a restored backup decides and publishes nothing, and says why; replayed, money and events are whole',
    },
  },
];
