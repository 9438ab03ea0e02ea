// runs alone: three brokers of its own are killed, and the one that is behind is elected
import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { after, before, test } from 'node:test';
import { type ScratchBrokers, startScratchBrokers } from '../../support/scratch-brokers.ts';
import { openUncleanElections, type UncleanElections } from '../../support/unclean-election.ts';
import { until } from '../../support/until.ts';
import { openStage, type Stage } from './stage.ts';

let brokers: ScratchBrokers;
let elections: UncleanElections;
const stages: Stage[] = [];
before(async () => {
  brokers = await startScratchBrokers(3);
  elections = await openUncleanElections(brokers);
});
after(async () => {
  for (const stage of stages) await stage.close();
  await elections?.close();
  await brokers?.close();
});

async function openTruncatable(): Promise<Stage> {
  const makeCommands = (topic: string) => elections.topic(topic);
  const stage = await openStage({ partitions: 1, brokers: brokers.addresses, makeCommands });
  stages.push(stage);
  return stage;
}

const positionOf = ({ postgres }: Stage) =>
  postgres.query<{ position: number; leaderEpoch: number | null }>(
    'SELECT position::int, leader_epoch AS "leaderEpoch" FROM penstock.command_positions',
  );

test('commands that a truncated log has where the handler had read others are decided, those that it had decided stay', async () => {
  const [live, away] = [await openTruncatable(), await openTruncatable()];
  const open = (stage: Stage, user: string, id = randomUUID()) => stage.command(user, 'openAccount', {}, id);
  const handlers = await Promise.all([live.start(), away.start()]);
  const lost = [randomUUID(), randomUUID()];
  const before: unknown[] = [];
  for (const [index, stage] of [live, away].entries()) {
    await handlers[index]?.ready();
    await stage.verdict('alice', await open(stage, 'alice'));
  }
  await elections.leaveBehind();
  for (const [index, stage] of [live, away].entries()) {
    for (const user of ['bob', 'eve']) await open(stage, user, user === 'bob' ? lost[index] : undefined);
    before.push((await stage.verdict('bob', lost[index] ?? '')).iban);
    await until('both are decided', async () => {
      const [stored] = await positionOf(stage);
      return stored?.position === 3 && typeof stored.leaderEpoch === 'number';
    });
  }
  handlers[1]?.signal('SIGTERM');
  assert.equal(await handlers[1]?.exited, 0);
  await elections.elect();

  // Four where two were lost: the old position lies among them.
  const sent = await Promise.all(
    [live, away].map(async (stage, index) => {
      const found = new Map<string, string>();
      for (const user of ['carol', 'bob', 'dave', 'zoe']) {
        found.set(user, await open(stage, user, user === 'bob' ? lost[index] : undefined));
      }
      return found;
    }),
  );
  const restarted = await away.start();
  for (const [index, stage] of [live, away].entries()) {
    for (const [user, id] of sent[index] ?? []) {
      const { success, iban } = await stage.verdict(user, id);
      assert.equal(success, true);
      if (user === 'bob') assert.equal(iban, before[index], 'the verdict that was given stands');
    }
    await until('the position is behind them', async () => (await positionOf(stage))[0]?.position === 5);
  }
  for (const handler of [handlers[0], restarted]) {
    assert.equal(await handler?.metric('penstock_handler_truncated_total'), 1);
    assert.deepEqual(await handler?.reasons(), {});
  }
});
