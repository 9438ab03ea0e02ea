import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bearerToken, cookie, parameter, targetOf, withoutParameter } from '../../../services/router/request-target.ts';

test('a request target is a path and a query, in origin form or absolute form', () => {
  const table: Record<string, { path: string; query: string }> = {
    '/': { path: '/', query: '' },
    '/graphql': { path: '/graphql', query: '' },
    '/graphql?a=b?c': { path: '/graphql', query: 'a=b?c' },
    'http://host:1/graphql?a=b': { path: '/graphql', query: 'a=b' },
    'http://host': { path: '/', query: '' },
    'http://host?a': { path: '/', query: 'a' },
    '/graphql#x': { path: '/graphql', query: '' },
    '//graphql': { path: '//graphql', query: '' },
    '*': { path: '*', query: '' },
  };
  for (const [url, target] of Object.entries(table)) assert.deepEqual(targetOf(url), target);
});

test('a parameter is taken out of a query without touching the others', () => {
  assert.equal(withoutParameter('query=%7Ba+b%7D&route=x&route=y&v=1%2B', 'route'), 'query=%7Ba+b%7D&v=1%2B');
  assert.equal(withoutParameter('%72oute=x&routes=1', 'route'), 'routes=1');
  assert.equal(withoutParameter('route=x', 'route'), '');
  assert.equal(withoutParameter('', 'route'), '');
  assert.equal(parameter('a=1&route=a.b.c', 'route'), 'a.b.c');
  assert.equal(parameter('a=1', 'route'), undefined);
});

test('a cookie is found among others', () => {
  assert.equal(cookie('a=1; penstock_route=t.o.k; b=2', 'penstock_route'), 't.o.k');
  assert.equal(cookie('penstock_route="quoted"', 'penstock_route'), 'quoted');
  assert.equal(cookie('xpenstock_route=1', 'penstock_route'), undefined);
  assert.equal(cookie(undefined, 'penstock_route'), undefined);
});

test('only a bearer token is a credential', () => {
  assert.equal(bearerToken('Bearer a.b-c_d~e+f/g='), 'a.b-c_d~e+f/g=');
  assert.equal(bearerToken('bearer  x'), 'x');
  for (const header of [undefined, '', 'Bearer', 'Bearer ', 'Basic eDp5', 'Bearer a b', 'Bearer a,b']) {
    assert.equal(bearerToken(header), undefined);
  }
});
