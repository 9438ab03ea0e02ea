import assert from 'node:assert/strict';
import { test } from 'node:test';
import { buildSchema, execute, GraphQLError, parse, validate } from 'graphql';
import { PenstockError } from '../../../../lib/errors.ts';
import { OperationRefused, openErrorFormatter } from '../../../../services/gateway/graphql/errors.ts';
import { quietOps } from '../../../support/quiet-ops.ts';

const schema = buildSchema(`
  type Query { plus(x: Int! = 1): Int! never: String! fails: String refuses: String whole: Int }
`);
const root = {
  plus: ({ x }: { x: number }) => x,
  never: () => null,
  fails: () => {
    throw new TypeError('postgres://user:secret@host');
  },
  refuses: () => {
    throw new PenstockError('FORBIDDEN', 'not you', { role: 'king' });
  },
  whole: () => 'text',
};

test('every error that a request can cause has its code, and what is ours is masked', () => {
  const logged: object[] = [];
  const { log } = quietOps();
  log.error = line => logged.push(line);
  const format = openErrorFormatter(log);
  const codes = (query: string, variableValues: Record<string, unknown> = {}) => {
    const document = parse(query);
    const invalid = validate(schema, document);
    const result = execute({ schema, document, rootValue: root, variableValues });
    assert.ok(!(result instanceof Promise));
    const errors = invalid.length > 0 ? invalid : (result.errors ?? []);
    return errors.flatMap(error => format(error)).map(({ message, extensions }) => [extensions?.code, message]);
  };
  assert.deepEqual(codes('{ nonsense }'), [['BAD_USER_INPUT', 'Cannot query field "nonsense" on type "Query".']]);
  assert.equal(codes('query($x: Int!) { plus(x: $x) }', { x: 'one' })[0]?.[0], 'BAD_USER_INPUT');
  assert.equal(codes('query($x: Int!) { plus(x: $x) }')[0]?.[0], 'BAD_USER_INPUT');
  assert.equal(codes('query($x: Int) { plus(x: $x) }', { x: null })[0]?.[0], 'BAD_USER_INPUT');
  assert.deepEqual(codes('{ refuses }'), [['FORBIDDEN', 'not you']]);
  assert.equal(logged.length, 0);
  const masked = [['INTERNAL', 'a defect on our side; the details are in the log']];
  assert.deepEqual(codes('{ fails }'), masked);
  assert.deepEqual(codes('{ never }'), masked);
  assert.deepEqual(codes('{ whole }'), masked);
  assert.equal(logged.length, 3);
});

test('a masked error keeps its place, and nothing else', () => {
  const format = openErrorFormatter(quietOps().log);
  const [formatted] = format(
    new GraphQLError('secret', { path: ['a', 0], originalError: new Error('secret'), extensions: { secret: true } }),
  );
  assert.deepEqual(formatted, {
    message: 'a defect on our side; the details are in the log',
    path: ['a', 0],
    extensions: { code: 'INTERNAL' },
  });
});

test("whatever wraps an error that is nobody's to see, it is masked and logged", () => {
  const logged: { error: unknown }[] = [];
  const { log } = quietOps();
  log.error = ({ error }) => logged.push({ error });
  const format = openErrorFormatter(log);
  const secret = new TypeError('Argument "x" of postgres://user:secret@host');
  const path = ['a'];
  const { message } = secret;
  const wrapped: unknown[] = [
    secret,
    // graphql-ws wraps what ends a subscription so.
    new GraphQLError(message, { cause: secret }),
    new GraphQLError(message, { originalError: secret }),
    new GraphQLError(message, { originalError: secret, path }),
    new GraphQLError(message, { originalError: new GraphQLError(message, { originalError: secret }) }),
    new GraphQLError(message, { originalError: Object.assign(secret, { extensions: { code: 'BAD_USER_INPUT' } }) }),
    new GraphQLError(message, { cause: message }),
  ];
  for (const error of wrapped) {
    const [formatted] = format(error);
    assert.deepEqual([formatted.extensions?.code, /secret/.test(JSON.stringify(formatted))], ['INTERNAL', false]);
  }
  assert.equal(logged.length, wrapped.length);
  assert.ok(logged.every(({ error }) => error === secret || error === message));
});

test('the extensions of an error of ours reach the client, and a code that nobody knows does not', () => {
  const format = openErrorFormatter(quietOps().log);
  const [expired] = format(new PenstockError('CURSOR_EXPIRED', 'gone', { earliest: 'c' }));
  assert.deepEqual(expired, { message: 'gone', extensions: { earliest: 'c', code: 'CURSOR_EXPIRED' } });
  const [limit] = format(new GraphQLError('too deep', { extensions: { code: 'LIMIT_EXCEEDED' } }));
  assert.equal(limit?.extensions?.code, 'LIMIT_EXCEEDED');
  const [strange] = format(new GraphQLError('?', { path: ['a'], extensions: { code: 'ECONNREFUSED' } }));
  assert.equal(strange?.extensions?.code, 'INTERNAL');
  const [thrown] = format('text');
  assert.equal(thrown?.extensions?.code, 'INTERNAL');
});

test('several errors stay several, however they are wrapped', () => {
  const format = openErrorFormatter(quietOps().log);
  const refused = new OperationRefused([new GraphQLError('one'), new GraphQLError('two')]);
  const wrapped = new GraphQLError(refused.message, { originalError: refused });
  for (const error of [refused, wrapped]) {
    assert.deepEqual(
      format(error).map(({ message }) => message),
      ['one', 'two'],
    );
  }
});
