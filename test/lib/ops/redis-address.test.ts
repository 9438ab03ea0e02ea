import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseRedisAddress } from '../../../lib/ops/index.ts';

const plain = {
  kind: 'single',
  masterName: '',
  tls: false,
  username: undefined,
  password: undefined,
  sentinelUsername: undefined,
  sentinelPassword: undefined,
  database: 0,
} as const;

const understood: Readonly<Record<string, object>> = {
  'redis://localhost': { ...plain, hosts: [{ host: 'localhost', port: 6379 }] },
  'rediss://:p%40ss@[::1]:7000/3': {
    ...{ ...plain, tls: true, password: 'p@ss', database: 3 },
    hosts: [{ host: '::1', port: 7000 }],
  },
  'redis+sentinel://app:se:cret@a,b:26380/my-master/2?sentinelUsername=watch&sentinelPassword=w%26': {
    ...{ ...plain, kind: 'sentinel', masterName: 'my-master', username: 'app', password: 'se:cret', database: 2 },
    ...{ sentinelUsername: 'watch', sentinelPassword: 'w&' },
    hosts: [
      { host: 'a', port: 26379 },
      { host: 'b', port: 26380 },
    ],
  },
  'rediss+cluster://app:p@one:1,two:2': {
    ...{ ...plain, kind: 'cluster', tls: true, username: 'app', password: 'p' },
    hosts: [
      { host: 'one', port: 1 },
      { host: 'two', port: 2 },
    ],
  },
};
for (const [text, address] of Object.entries(understood)) {
  test(`${text} is understood`, () => assert.deepEqual(parseRedisAddress(text), address));
}

const refused: Readonly<Record<string, RegExp>> = {
  'http://localhost': /must be redis:\/\//,
  'redis://': /host:port/,
  'redis://a:99999': /host:port/,
  'redis://a,b': /several hosts/,
  'redis+sentinel://a:1': /needs the master's name/,
  'redis+cluster://a:1/2': /only database 0/,
  'redis://a/x': /database must be a number/,
  'redis://a/1/2': /too many parts/,
  'redis://secret@a': /user:password/,
  'redis://:%zz@a': /percent-encoded/,
  'redis://a?family=6': /parameter that is not known/,
};
for (const [text, reason] of Object.entries(refused)) {
  test(`${text} is refused, and what may be a password is not quoted`, () => {
    assert.throws(
      () => parseRedisAddress(text),
      (error: Error) => reason.test(error.message) && !/secret|%zz/.test(error.message),
    );
  });
}
