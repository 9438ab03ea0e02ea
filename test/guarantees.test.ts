import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { applyMutant, type Mutant, mutantVariables, runWithMutant } from './support/mutate.ts';

/** A guarantee of docs/guarantees.md, one thing broken on purpose that it rests on, and the test that must tell. */
interface Watch extends Mutant {
  guarantee: `G${number}`;
  name: string;
  caughtBy: { file: string; test: string };
}

const watches: readonly Watch[] = [
  {
    guarantee: 'G6',
    name: 'a position of another topic is believed',
    file: 'lib/replay/topic-mark.ts',
    find: 'return mark === undefined || topicId === undefined || topicId.startsWith(mark);',
    replace: 'return true;',
    caughtBy: {
      file: 'test/lib/replay/expired.test.ts',
      test: 'a position of a topic that was made anew is expired, though the new one has its offset and nobody knows its time',
    },
  },
  {
    guarantee: 'G7',
    name: 'rows and positions are read in two snapshots',
    file: 'lib/views/open-views.ts',
    find: 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    replace: 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY',
    caughtBy: {
      file: 'test/lib/views/snapshot.test.ts',
      test: 'rows and positions of a snapshot belong together, whatever is projected meanwhile',
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
    guarantee: 'G13',
    name: 'nobody looks at what waits on the way to a socket',
    file: 'services/gateway/outlet.ts',
    find: 'if (writable.destroyed || waitingBytes() <= bufferBytes) return undefined;',
    replace: 'if (writable.destroyed || waitingBytes() >= 0) return undefined;',
    caughtBy: {
      file: 'test/services/gateway/outlet.test.ts',
      test: 'there is no room while the client does not take what waits, and room again when it has',
    },
  },
  {
    guarantee: 'G13',
    name: 'short writes count by their bytes alone',
    file: 'services/gateway/outlet.ts',
    find: 'bytes + (bytes / averageBytes) * writeOverheadBytes',
    replace: 'bytes',
    caughtBy: {
      file: 'test/services/gateway/outlet.test.ts',
      test: 'what short writes cost besides their bytes counts in the budget',
    },
  },
  {
    guarantee: 'G13',
    name: 'records wait for a stream without a limit',
    file: 'lib/replay/stream-queue.ts',
    find: 'return this.#queuedBytes === 0 || this.#queuedBytes + this.#keptBytes + bytes <= this.#budgetBytes;',
    replace: 'return true;',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'what a slow taker has in hand counts in its budget, as what waits for it',
    },
  },
  {
    guarantee: 'G13',
    name: 'what a taker has in hand is not counted',
    file: 'lib/replay/stream-queue.ts',
    find: 'return this.#takenBytes + this.#readyBytes;',
    replace: 'return this.#readyBytes;',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'what a slow taker has in hand counts in its budget, as what waits for it',
    },
  },
  {
    guarantee: 'G13',
    name: 'a record that waits keeps its whole batch',
    file: 'lib/replay/stream-queue.ts',
    find: 'if (this.#queuedBytes > 0) leaveBatch(record);',
    replace: '',
    caughtBy: {
      file: 'test/lib/replay/streams.test.ts',
      test: 'records that wait keep their own bytes, not those of the batches that they came with',
    },
  },
  {
    guarantee: 'G14',
    name: 'a line of newcomers without an end',
    file: 'lib/auth/work-queue.ts',
    find: 'if (waiting.size >= maxWaiting)',
    replace: 'if (waiting.size < 0)',
    caughtBy: {
      file: 'test/services/router/admission.test.ts',
      test: 'are under way up to a number, wait up to a number, and are refused beyond',
    },
  },
  {
    guarantee: 'G14',
    name: 'an owner who keeps his turn while he has more waiting',
    file: 'lib/replay/fair-queue.ts',
    find: 'owners.delete(owner);',
    replace: 'if (items.size === 1) owners.delete(owner);',
    caughtBy: {
      file: 'test/lib/replay/fair-queue.test.ts',
      test: 'an owner with much waiting is served once before the others, not all of it',
    },
  },
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
    guarantee: 'G15',
    name: 'an append says what is in memory when its turn has come',
    file: 'lib/replay/buffer/writer.ts',
    find: `const call = this.#prepare(task);
          const leave = await this.#parts.places.take(\`\${this.#at.topic}/\${this.#at.partition}\`);
          try {
            if (this.#closing.signal.aborted) return { outcome: { of: 'failure' }, more };`,
    replace: `const leave = await this.#parts.places.take(\`\${this.#at.topic}/\${this.#at.partition}\`);
          const call = this.#prepare(task);
          try {`,
    caughtBy: {
      file: 'test/lib/replay/buffer/tier.test.ts',
      test: 'what waits for its turn to be appended is what was in memory when it was chosen',
    },
  },
];

describe('what is broken on purpose is caught', { concurrency: 2 }, () => {
  for (const { guarantee, name, caughtBy, ...mutant } of watches) {
    test(`${guarantee}: ${name}`, async () => {
      const { outcome, output } = await runWithMutant(mutant, { ...caughtBy, timeoutMs: 60_000 });
      assert.equal(outcome, 'failed', `"${caughtBy.test}" does not notice\n${output.slice(-4_000)}`);
    });
  }
});

const harmless: Mutant = {
  file: 'lib/kafka/lane.ts',
  find: 'POSITIVE_INFINITY',
  replace: 'POSITIVE_INFINITY',
};

test('a mutant that changes nothing lets the test pass', async () => {
  const caughtBy = { file: 'test/lib/kafka/lane.test.ts', test: 'sequences wrap as the broker expects' };
  const { outcome, output } = await runWithMutant(harmless, { ...caughtBy, timeoutMs: 60_000 });
  assert.equal(outcome, 'passed', output);
});

test('a test that no file has is not taken for a mutant that was caught', async () => {
  const caughtBy = { file: 'test/lib/kafka/lane.test.ts', test: 'no such test' };
  assert.equal((await runWithMutant(harmless, { ...caughtBy, timeoutMs: 60_000 })).outcome, 'not run');
});

test('a mutant whose text is not there once, or that does not parse, is refused', () => {
  assert.throws(() => applyMutant({ file: 'x', find: 'a', replace: 'b' }, 'c'), /stale: "a" occurs 0 times/);
  assert.throws(() => applyMutant({ file: 'x', find: 'a', replace: 'b' }, 'aa'), /occurs 2 times/);
  assert.equal(applyMutant({ file: 'x', find: 'a', replace: '$&$&' }, 'a'), '$&$&');
  assert.throws(() => mutantVariables({ ...harmless, find: 'no such text' }), /stale/);
  assert.throws(() => mutantVariables({ ...harmless, replace: ')' }), { name: 'SyntaxError' });
});
