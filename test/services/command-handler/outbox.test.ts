import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openOutbox } from '../../../services/command-handler/outbox.ts';
import type { OutboxRow } from '../../../services/command-handler/types.ts';

const row = (sequence: number): OutboxRow => ({
  ...{ partition: 0, key: 'alice', sequence, repetition: 0, topic: 'events', eventId: `${sequence}`, type: 'said' },
  ...{ commandId: undefined, traceparent: '', timeMs: 0, value: '{}', appendedMs: undefined },
});

function ownedOutbox() {
  const outbox = openOutbox();
  outbox.gain(0);
  return outbox;
}

test('a row that is deleted while the table is read is not handed out again by that read', () => {
  const outbox = ownedOutbox();
  const rows = [row(1), row(2)];
  assert.equal(outbox.learn(rows).length, 2);
  const endFirst = outbox.beginRead();
  for (const each of rows) outbox.acknowledge(each);
  outbox.deleted(outbox.takeAcknowledged(10));
  const endSecond = outbox.beginRead();
  assert.deepEqual(
    outbox.learn([row(1), row(2), row(3)]).map(({ sequence }) => sequence),
    [3],
  );
  endFirst();
  assert.equal(outbox.highest({ key: 'alice', partition: 0 }), 3);
  endSecond();
});

test('a row that is deleted is forgotten when the reads that began before have ended, and by nothing else', () => {
  const outbox = ownedOutbox();
  const only = row(1);
  outbox.learn([only]);
  const ends = [outbox.beginRead(), outbox.beginRead()];
  outbox.acknowledge(only);
  outbox.deleted(outbox.takeAcknowledged(10));
  const later = outbox.beginRead();
  for (const end of ends) {
    assert.equal(outbox.highest({ key: 'alice', partition: 0 }), 1);
    end();
  }
  assert.equal(outbox.highest({ key: 'alice', partition: 0 }), 0);
  later();
});
