import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { uuidV5 } from '../../../lib/app/uuid.ts';

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
