import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parse } from 'graphql';
import { chosenName, subscriptionIn } from '../../../web/graphiql/fetcher.ts';
import { editorStorage, forgetEmptyTabs } from '../../../web/graphiql/storage.ts';
import { mostShown, openStreamLog } from '../../../web/graphiql/stream.ts';

test('the client gets the chosen subscription with its fragments, and nothing of the other operations', () => {
  const document = parse('query A { a } subscription B { b { ...F } } subscription C { c } fragment F on B { d }');
  const chosen = subscriptionIn(document, 'B') ?? '';
  assert.deepEqual(
    parse(chosen).definitions.map(definition => 'name' in definition && definition.name?.value),
    ['B', 'F'],
  );
  assert.equal(subscriptionIn(document, 'A'), undefined);
  assert.equal(subscriptionIn(document, undefined), undefined, 'one of several has to be chosen');
  assert.equal(subscriptionIn(parse('subscription { b }'), undefined)?.replace(/\s+/g, ''), 'subscription{b}');
});

test('the name of an operation that is not in the document any more is not sent', () => {
  const document = parse('query A { a } query B { b }');
  assert.deepEqual(
    ['A', 'gone', null, undefined].map(name => chosenName(document, name)),
    ['A', undefined, undefined, undefined],
  );
});

test('counts are those of the subscription that runs, and events beyond the last hundred are counted only', () => {
  const counters = { delivered: 0, replayed: 0, reconnects: 3, moves: 1, gaps: 2 };
  const log = openStreamLog({ counters }, () => 0);
  log.began();
  for (let index = 0; index < mostShown + 5; index++) {
    log.got({ data: { tick: { index } }, cursor: `c${index}`, replayed: index < 2 });
  }
  counters.reconnects = 4;
  log.recount();
  assert.deepEqual(log.counts.value, { events: mostShown + 5, replayed: 2, reconnects: 1, gaps: 0 });
  assert.equal(log.events.value.length, mostShown);
  assert.equal(log.events.value[0]?.text, `{"index":${mostShown + 4}}`);
  log.began();
  assert.deepEqual(log.counts.value, { events: 0, replayed: 0, reconnects: 0, gaps: 0 });
});

test('a subscription begins now, at the earliest event, or behind the last result that had a cursor', () => {
  const log = openStreamLog({ counters: { delivered: 0, replayed: 0, reconnects: 0, moves: 0, gaps: 0 } });
  assert.deepEqual(log.beginning(), { from: 'now' });
  log.start.value = 'last';
  assert.equal(log.hasLast.value, false);
  assert.deepEqual(log.beginning(), { from: 'now' });
  log.sawCursor('c1');
  log.sawCursor(undefined);
  assert.deepEqual(log.beginning(), { cursor: 'c1' });
  log.start.value = 'earliest';
  assert.deepEqual(log.beginning(), { from: 'earliest' });
});

function tabStorage(): Storage {
  const items = new Map<string, string>();
  return {
    get length() {
      return items.size;
    },
    key: index => [...items.keys()][index] ?? null,
    getItem: key => items.get(key) ?? null,
    setItem: (key, value) => void items.set(key, value),
    removeItem: key => void items.delete(key),
    clear: () => items.clear(),
  };
}

test('tabs in which nothing was written make room for examples, others stay', () => {
  const storage = editorStorage(tabStorage(), 'al');
  forgetEmptyTabs(storage);
  storage.setItem('graphiql:tabState', '{"tabs":[{"query":"{ a }"},{"query":null}]}');
  forgetEmptyTabs(storage);
  assert.ok(storage.getItem('graphiql:tabState'));
  storage.setItem('graphiql:tabState', '{"tabs":[{"query":null},{"query":""}]}');
  forgetEmptyTabs(storage);
  assert.equal(storage.getItem('graphiql:tabState'), null);
});

test("what one user has in the editor is not another's, and clearing it leaves the rest of the tab alone", () => {
  const storage = tabStorage();
  storage.setItem('penstock.session', 'token');
  const al = editorStorage(storage, 'al');
  const alex = editorStorage(storage, 'al:ex');
  al.setItem('query', '{ a }');
  al.setItem('tabs', '[]');
  alex.setItem('query', '{ b }');
  assert.equal(al.getItem('query'), '{ a }');
  assert.equal(al.length, 2);
  al.clear();
  assert.equal(al.length, 0);
  assert.equal(alex.getItem('query'), '{ b }');
  assert.equal(storage.getItem('penstock.session'), 'token');
});

test('what the editor saves after the log-out is kept no more', () => {
  const storage = tabStorage();
  const al = editorStorage(storage, 'al');
  al.setItem('query', '{ a }');
  al.end();
  al.setItem('query', '{ typed: a }');
  assert.equal(storage.length, 0);
});
