import assert from 'node:assert/strict';
import { randomUUID } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { commandIdOf, isUuid, uuidV5 } from '../../../../services/gateway/commands/ids.ts';

const never = () => {
  throw new Error('no random id is needed here');
};

test("UUIDv5 gives the RFC's example and those of other implementations", () => {
  const dns = '6ba7b810-9dad-11d1-80b4-00c04fd430c8';
  const url = '6ba7b811-9dad-11d1-80b4-00c04fd430c8';
  assert.equal(uuidV5(dns, 'www.example.com'), '2ed6657d-e927-568b-95e1-2665a8aea6a2'); // RFC 9562, A.4
  assert.equal(uuidV5(dns, 'python.org'), '886313e1-3b8a-5372-9b90-0c9aee199e5d'); // Python's uuid documentation
  assert.equal(uuidV5(url, 'http://example.com/'), '0a300ee9-f9e4-5697-a51a-efc7fafaba67'); // Python: uuid5(NAMESPACE_URL, …)
});

test('every name gives a well-formed version 5 UUID of the RFC variant', () => {
  fc.assert(
    fc.property(fc.uuid(), fc.string(), (namespace, name) => {
      assert.match(uuidV5(namespace, name), /^[0-9a-f]{8}-[0-9a-f]{4}-5[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    }),
  );
});

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
