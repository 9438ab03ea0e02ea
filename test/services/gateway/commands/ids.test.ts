import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import { isUuid } from '../../../../lib/app/uuid.ts';
import { commandIdOf } from '../../../../services/gateway/commands/ids.ts';

const never = () => {
  throw new Error('no random id is needed here');
};

test('a command id that is given is taken, in lower case', () => {
  const origin = { userKey: 'alice', operationId: randomUUID(), path: ['say'] };
  const given = '8F0C9B10-8E40-4B2D-B7ED-DF8679CDFBA2';
  assert.equal(commandIdOf({ ...origin, given }, never), given.toLowerCase());
});

test('a command id that is no UUID is refused', () => {
  for (const given of ['', 'x', '8f0c9b10-8e40-4b2d-b7ed-df8679cdfba', 7, {}, '8f0c9b108e404b2db7eddf8679cdfba2']) {
    assert.throws(() => commandIdOf({ given, userKey: 'alice', operationId: undefined, path: ['say'] }, never), {
      code: 'BAD_USER_INPUT',
    });
  }
});

test('an operation sent again under its id means the same command, by the same user and at the same place only', () => {
  const operationId = randomUUID();
  const id = (userKey: string, path: (string | number)[], operation = operationId) =>
    commandIdOf({ given: undefined, userKey, operationId: operation, path }, never);
  assert.equal(id('alice', ['a']), id('alice', ['a']));
  assert.ok(isUuid(id('alice', ['a'])));
  const others = [id('bob', ['a']), id('alice', ['b']), id('alice', ['a'], randomUUID()), id('alice', ['a', 'a'])];
  assert.equal(new Set([id('alice', ['a']), ...others]).size, 5);
});

test('without a UUID to go by, the id is random', () => {
  for (const operationId of [undefined, '1', 'not-a-uuid']) {
    assert.equal(
      commandIdOf({ given: null, userKey: 'alice', operationId, path: ['say'] }, () => 'random'),
      'random',
    );
  }
});
