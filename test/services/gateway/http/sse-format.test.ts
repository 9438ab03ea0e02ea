import assert from 'node:assert/strict';
import { test } from 'node:test';
import { completeEvent, nextEvent, pingEvent } from '../../../../services/gateway/http/sse-format.ts';

test('a next event has its cursor as id', () => {
  assert.equal(nextEvent('{"data":{}}', 'abc'), 'event: next\nid: abc\ndata: {"data":{}}\n\n');
});

test('an event without a cursor has no id, so that the last one stands', () => {
  assert.equal(nextEvent('{"data":{}}', undefined), 'event: next\ndata: {"data":{}}\n\n');
  assert.equal(pingEvent(undefined, false), 'event: ping\ndata: {}\n\n');
});

test('a ping moves the last event id', () => {
  assert.equal(pingEvent('abc', false), 'event: ping\nid: abc\ndata: {}\n\n');
});

test('a ping says that the replay is over', () => {
  assert.equal(pingEvent('abc', true), 'event: ping\nid: abc\ndata: {"live":true}\n\n');
});

test('complete has a data line: browsers drop an event without one', () => {
  assert.equal(completeEvent, 'event: complete\ndata: \n\n');
});
