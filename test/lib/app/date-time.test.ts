import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { canonicalDateTime, dateTimeOf } from '../../../lib/app/index.ts';

const canonical: Readonly<Record<string, string>> = {
  '2026-07-31T10:00:00.000Z': '2026-07-31T10:00:00.000Z',
  '2026-07-31T10:00:00Z': '2026-07-31T10:00:00.000Z',
  '2026-07-31t10:00:00z': '2026-07-31T10:00:00.000Z',
  '2026-07-31T10:00:00.1Z': '2026-07-31T10:00:00.100Z',
  '2026-07-31T10:00:00.123999999Z': '2026-07-31T10:00:00.123Z',
  '2026-07-31T10:00:00+02:00': '2026-07-31T08:00:00.000Z',
  '2026-07-31T10:00:00-23:59': '2026-08-01T09:59:00.000Z',
  '2026-07-31T10:00:00-00:00': '2026-07-31T10:00:00.000Z',
  '2024-02-29T00:00:00Z': '2024-02-29T00:00:00.000Z',
  '2000-02-29T23:59:59.999Z': '2000-02-29T23:59:59.999Z',
  '2016-12-31T23:59:60Z': '2017-01-01T00:00:00.000Z',
  '2017-01-01T00:59:60.5+01:00': '2017-01-01T00:00:00.500Z',
  '0001-01-01T00:00:00.000Z': '0001-01-01T00:00:00.000Z',
  '0050-01-01T00:00:00Z': '0050-01-01T00:00:00.000Z',
  '9999-12-31T23:59:59.999Z': '9999-12-31T23:59:59.999Z',
};

const refused = [
  '',
  'now',
  '2026-07-31',
  '2026-07-31T10:00Z',
  '2026-07-31T10:00:00',
  '2026-07-31 10:00:00Z',
  '2026-07-31T10:00:00.Z',
  '2026-07-31T10:00:00,5Z',
  '2026-07-31T10:00:00+0200',
  '2026-07-31T10:00:00+24:00',
  '2026-07-31T10:00:00+02:60',
  '2026-07-31T24:00:00Z',
  '2026-07-31T24:00:00.000Z',
  '2026-07-31T10:60:00.000Z',
  '2026-07-31T10:00:61.000Z',
  '2026-06-31T10:00:00.000Z',
  '2026-07-31T10:60:00Z',
  '2026-07-31T10:00:61Z',
  '2026-07-31T10:00:60Z',
  '2026-06-31T10:00:00Z',
  '2026-02-29T10:00:00.000Z',
  '1900-02-29T10:00:00.000Z',
  '2026-00-01T10:00:00.000Z',
  '2026-13-01T10:00:00.000Z',
  '2026-01-00T10:00:00.000Z',
  '0000-01-01T00:00:00Z',
  '0000-12-31T23:59:59.999Z',
  '0001-01-01T00:00:00+00:01',
  '9999-12-31T23:59:59-00:01',
  '9999-12-31T23:59:60Z',
  '+010000-01-01T00:00:00Z',
  ' 2026-07-31T10:00:00Z',
  '2026-07-31T10:00:00Z\n',
  '2026-0a-31T10:00:00.000Z',
  '2026-07-31T10:00:00.0/0Z',
  '٢٠٢٦-07-31T10:00:00.000Z',
];

for (const [text, expected] of Object.entries(canonical)) {
  test(`${text} is ${expected}`, () => assert.equal(canonicalDateTime(text), expected));
}

for (const text of refused) {
  test(`${JSON.stringify(text)} is no date-time`, () => assert.equal(canonicalDateTime(text), undefined));
}

const earliest = Date.parse('0001-01-01T00:00:00.000Z');
const latest = Date.parse('9999-12-31T23:59:59.999Z');
const instants = fc.integer({ min: earliest, max: latest });

test('every instant of the years 1 to 9999 has one canonical text, which is canonical itself', () => {
  fc.assert(
    fc.property(instants, epochMs => {
      const text = dateTimeOf(epochMs);
      assert.equal(text, new Date(epochMs).toISOString());
      assert.equal(canonicalDateTime(text ?? ''), text);
    }),
  );
});

test('an instant written with an offset is the same instant', () => {
  const offsets = fc.integer({ min: -1439, max: 1439 });
  fc.assert(
    fc.property(fc.integer({ min: earliest + 86_400_000, max: latest - 86_400_000 }), offsets, (epochMs, minutes) => {
      const local = new Date(epochMs + minutes * 60_000).toISOString().slice(0, -1);
      const size = Math.abs(minutes);
      const offset = `${minutes < 0 ? '-' : '+'}${String(Math.trunc(size / 60)).padStart(2, '0')}:${String(size % 60).padStart(2, '0')}`;
      assert.equal(canonicalDateTime(local + offset), dateTimeOf(epochMs));
    }),
  );
});

test('canonical texts sort as their instants do', () => {
  fc.assert(
    fc.property(instants, instants, (a, b) => {
      assert.equal((dateTimeOf(a) ?? '') < (dateTimeOf(b) ?? ''), a < b);
    }),
  );
});

test('what any text becomes is canonical, or nothing', () => {
  const texts = fc.oneof(
    fc.string(),
    fc.tuple(instants, fc.nat({ max: 23 }), fc.string({ maxLength: 1 })).map(([epochMs, at, other]) => {
      const text = new Date(epochMs).toISOString();
      return text.slice(0, at) + other + text.slice(at + 1);
    }),
  );
  fc.assert(
    fc.property(texts, text => {
      const result = canonicalDateTime(text);
      if (result !== undefined) assert.equal(new Date(Date.parse(result)).toISOString(), result);
      // What JavaScript writes itself is never refused.
      if (text.length === 24 && !Number.isNaN(Date.parse(text)) && new Date(text).toISOString() === text) {
        assert.equal(result, text.startsWith('0000') ? undefined : text);
      }
    }),
  );
});

test('milliseconds out of range or fractional are no instant', () => {
  for (const epochMs of [earliest - 1, latest + 1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53]) {
    assert.equal(dateTimeOf(epochMs), undefined);
  }
});
