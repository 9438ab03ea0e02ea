import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { ibanOf, looksLikeOurs } from '../../../apps/bank/iban.ts';

const serial = fc.integer({ min: 0, max: 9_999_999_999 });

/** ISO 7064 mod 97-10 by big integers: another way than the code's. */
function remainder(iban: string): bigint {
  const digits = [...(iban.slice(4) + iban.slice(0, 4))].map(character => Number.parseInt(character, 36)).join('');
  return BigInt(digits) % 97n;
}

test('the check digits of published IBANs hold by the same arithmetic', () => {
  for (const iban of ['NL91ABNA0417164300', 'GB82WEST12345698765432', 'DE89370400440532013000']) {
    assert.equal(remainder(iban), 1n);
  }
});

test('every account number is a valid IBAN of this bank', () => {
  fc.assert(
    fc.property(serial, number => {
      const iban = ibanOf(number);
      assert.match(iban, /^NL\d{2}PENS\d{10}$/);
      assert.equal(remainder(iban), 1n);
      assert.ok(looksLikeOurs(iban));
    }),
    { numRuns: 2_000 },
  );
});

test('different serials give different IBANs', () => {
  fc.assert(
    fc.property(serial, serial, (a, b) => assert.equal(ibanOf(a) === ibanOf(b), a === b)),
    { numRuns: 2_000 },
  );
  const first = new Set(Array.from({ length: 50_000 }, (_, index) => ibanOf(index)));
  assert.equal(first.size, 50_000);
});

test('a serial beyond ten digits is refused instead of repeating an IBAN', () => {
  for (const number of [-1, 10_000_000_000, 0.5, Number.NaN]) assert.throws(() => ibanOf(number), RangeError);
});

test("another bank's IBAN, cash and anything with a control character do not look like an account here", () => {
  for (const text of [
    'cash',
    '',
    'NL91ABNA0417164300',
    'NL93PENS618033988',
    'nl93pens6180339887',
    'NL93PENS6180339887\u0000',
  ]) {
    assert.equal(looksLikeOurs(text), false);
  }
});
