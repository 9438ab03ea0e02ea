import assert from 'node:assert/strict';
import { test } from 'node:test';
import { openReadFaults } from '../../../services/command-handler/read-faults.ts';
import { quietOps } from '../../support/quiet-ops.ts';

const at = (partition: number) => ({ topic: 'commands', partition, offset: 40 + partition });

test('a command partition that cannot be read is a reason that names it and its offset, until it is read again', t => {
  t.mock.timers.enable({ apis: ['setTimeout'] });
  const ops = quietOps();
  const reason = () => ops.readiness.reasons().reading;
  const faults = openReadFaults(ops, 1_000);
  faults.note('SINK_FAILED', at(3));
  assert.equal(reason(), "commands/3 can't be read at offset 43: SINK_FAILED");
  t.mock.timers.tick(600);
  faults.note('SINK_FAILED', at(3));
  faults.note('UNREADABLE', at(5));
  t.mock.timers.tick(600);
  assert.equal(reason(), "commands/3 can't be read at offset 43: SINK_FAILED (and 1 more)");
  faults.keepOnly([5]);
  assert.equal(reason(), "commands/5 can't be read at offset 45: UNREADABLE");
  t.mock.timers.tick(400);
  assert.equal(reason(), undefined);
});
