import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Filters, isNarrowed, matches, noFilters, variablesOf } from '../../../web/bank/model/filters.ts';
import { transaction } from './transaction.ts';

const nothing = { direction: null, minAmount: null, maxAmount: null, descrIncludes: null };
const cases: readonly [name: string, filters: Partial<Filters>, variables: object, shown: readonly number[]][] = [
  ['nothing', {}, {}, [500, -500, 20, -20]],
  ['received', { direction: 'CREDIT' }, { direction: 'CREDIT' }, [500, 20]],
  ['sent', { direction: 'DEBIT' }, { direction: 'DEBIT' }, [-500, -20]],
  ['a least amount', { minimumCents: 100 }, {}, [500, -500]],
  ['received, least', { direction: 'CREDIT', minimumCents: 100 }, { direction: 'CREDIT', minAmount: 100 }, [500]],
  ['sent, least', { direction: 'DEBIT', minimumCents: 100 }, { direction: 'DEBIT', maxAmount: -100 }, [-500]],
  ['a description', { description: 'rent' }, { descrIncludes: 'rent' }, [500]],
];

for (const [name, some, variables, shown] of cases) {
  test(`filters (${name}) go to the servers as far as they know them, and the page does the rest`, () => {
    const filters = { ...noFilters, ...some };
    assert.deepEqual(variablesOf(filters), { ...nothing, ...variables });
    const amounts = [500, -500, 20, -20].filter(changedBy =>
      matches(filters, transaction(1, { changedBy, descr: changedBy === 500 ? 'the rent' : 'Rent' })),
    );
    assert.deepEqual(amounts, shown);
    assert.equal(isNarrowed(filters), name !== 'nothing');
  });
}
