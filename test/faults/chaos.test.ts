import assert from 'node:assert/strict';
import { test } from 'node:test';
import { faults } from '../chaos/faults/index.ts';
import { tableOf, violationsOf } from '../chaos/report.ts';
import { runChaos } from '../chaos/stage.ts';
import { newFolder } from '../support/stack.ts';

const some = ['gateway-kill', 'absent-clients', 'redis-flush', 'poison-records', 'gateway-kill-in-replay'];

test('G1 G2 G3 G4 G15: a short chaos run loses nothing, and shows nothing twice, out of order or to others', async () => {
  const lines: string[] = [];
  const result = await runChaos(
    {
      ...{ seed: 11, name: 'smoke', minutes: 0.2, clients: 40, ticksPerSecond: 60, commandsPerSecond: 5 },
      faults: faults.filter(({ name }) => some.includes(name)),
    },
    { brokers: 1, gateways: 2, routers: 1, handlers: 1 },
    { folder: newFolder(), print: line => lines.push(line) },
  );
  assert.equal(violationsOf(result), 0, `${tableOf(result)}\n${lines.join('\n')}`);
  assert.ok(result.spans.length > 0, 'no fault was injected');
  const { append, entries } = result.buffer.counts;
  assert.ok(append > 0 && entries > 0, `${append} appends to the replay buffer were seen, ${entries} entries compared`);
  assert.ok(result.counts.deliveries > 1_000, `only ${result.counts.deliveries} deliveries`);
});
