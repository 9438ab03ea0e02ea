import assert from 'node:assert/strict';
import { type ChildProcess, fork } from 'node:child_process';
import { join } from 'node:path';
import { test } from 'node:test';
import { until } from '../support/until.ts';
import { type Direction, silence, whyNoSilence } from './network/silence.ts';

const skip = (await whyNoSilence()) ?? false;

interface Said {
  port?: number;
  heard?: string;
  opened?: number;
  closed?: number;
  error?: string;
  ready?: true;
}

async function talker(...args: string[]): Promise<{ child: ChildProcess; pid: number; said: Said[] }> {
  const child = fork(join(import.meta.dirname, 'network/talker.ts'), args);
  const said: Said[] = [];
  child.on('message', message => said.push(message as Said));
  await until('the process to be there', () => said.length > 0);
  return { child, pid: child.pid ?? 0, said };
}

/** A listener, somebody who has one connection to it, and what happens to both while the link between them is silent. */
async function during(
  direction: Direction,
  check: (one: ChildProcess, said: Said[], heard: () => string) => Promise<void>,
) {
  const listener = await talker('listen');
  const caller = await talker('call', String(listener.said[0]?.port));
  const heard = () => listener.said.map(said => said.heard ?? '').join('');
  const back = () => caller.said.map(said => said.heard ?? '').join('');
  try {
    caller.child.send({ open: true });
    await until('the connection', () => caller.said.some(({ opened }) => opened === 0));
    const silent = await silence(caller.pid, listener.pid, direction);
    try {
      caller.child.send({ open: true });
      caller.child.send({ say: 'a', over: 0 });
      await check(caller.child, caller.said, heard);
      await until('packets to be lost on both connections', async () => (await silent.dropped()) >= 2);
      assert.equal(back(), '', 'an answer came through');
      assert.equal(
        caller.said.some(({ opened }) => opened === 1),
        false,
        'a new connection came through',
      );
    } finally {
      await silent.heal();
    }
    await until(
      'the answer, and the second connection',
      () => back() === 'a' && caller.said.some(({ opened }) => opened === 1),
    );
    assert.deepEqual(
      caller.said.filter(({ error, closed }) => error !== undefined || closed !== undefined),
      [],
    );
  } finally {
    caller.child.disconnect();
    listener.child.disconnect();
  }
}

test('a silent link refuses and resets nothing: both connections go on when it is healed', { skip }, () =>
  during('both', async (_child, _said, heard) => assert.equal(heard(), '')),
);

test('a link that is silent one way carries what goes there, and not the answer', { skip }, () =>
  during('from', async (_child, _said, heard) => {
    await until('the listener to hear it', () => heard().startsWith('a'));
  }),
);
