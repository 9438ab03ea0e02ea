import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Headers, headerText, keyText, sequenceOf } from '../../../lib/kafka/index.ts';

const cases: [what: string, headers: Headers, sequence: number | undefined][] = [
  ['none', {}, undefined],
  ['zero', { ce_keysequence: Buffer.from('0') }, 0],
  ['text', { ce_keysequence: '42' }, 42],
  ['the last of several', { ce_keysequence: [Buffer.from('1'), Buffer.from('2')] }, 2],
  ['the largest safe integer', { ce_keysequence: '9007199254740991' }, Number.MAX_SAFE_INTEGER],
  ['one beyond it', { ce_keysequence: '9007199254740992' }, undefined],
  ['negative', { ce_keysequence: '-1' }, undefined],
  ['fraction', { ce_keysequence: '1.5' }, undefined],
  ['exponent', { ce_keysequence: '1e3' }, undefined],
  ['leading zero', { ce_keysequence: '01' }, undefined],
  ['blank', { ce_keysequence: ' 1' }, undefined],
  ['empty', { ce_keysequence: '' }, undefined],
  ['hexadecimal', { ce_keysequence: '0x10' }, undefined],
];

for (const [what, headers, sequence] of cases) {
  test(`a sequence header that is ${what} reads as ${sequence}`, () => {
    assert.equal(sequenceOf({ headers }), sequence);
  });
}

test('header and key text are UTF-8, and absent is undefined', () => {
  assert.equal(headerText({ a: Buffer.from('ü') }, 'a'), 'ü');
  assert.equal(headerText({ a: undefined }, 'a'), undefined);
  assert.equal(headerText({ a: [] }, 'a'), undefined);
  assert.equal(keyText({ key: Buffer.from('käse') }), 'käse');
  assert.equal(keyText({ key: null }), undefined);
});
