import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { createClient, UnauthorizedError } from '@penstock/client';
import { type GatewayLab, openGatewayLab, type TestGateway } from '../support/gateway.ts';

let lab: GatewayLab;
let gateway: TestGateway;

before(async () => {
  lab = await openGatewayLab();
  gateway = await lab.gateway();
});

after(async () => {
  await lab?.close();
});

/** Seconds that the servers let a clock differ, see lib/auth/claims.ts, and some that the test waits. */
const aheadSeconds = 5 + 3;

test('a token from the future is sent again until the clocks agree, for a server whose clock is wrong must not log users out', async () => {
  const iat = Math.floor(Date.now() / 1_000) + aheadSeconds;
  const token = await lab.accessToken('alice', { iat });
  const refused = await gateway.post(token, { query: '{ __typename }' });
  assert.equal(refused.status, 401, 'the token is not valid yet');
  const client = createClient({ url: gateway.url, getToken: () => token });
  try {
    assert.deepEqual((await client.query({ query: '{ __typename }' })).data, { __typename: 'Query' });
  } finally {
    client.close();
  }
});

test('a token that does not hold is final when it is given once more', async () => {
  const token = await lab.accessToken('alice', { aud: 'somebody else' });
  let calls = 0;
  const getToken = () => {
    calls++;
    return token;
  };
  const client = createClient({ url: gateway.url, getToken });
  try {
    await assert.rejects(client.query({ query: '{ __typename }' }), UnauthorizedError);
    assert.equal(calls, 2);
  } finally {
    client.close();
  }
});

test('where there is no token it is asked for again: an application may have read the answer of a server that is away', async () => {
  const token = await lab.accessToken('alice');
  const answers: Record<string, string>[] = [{ error: 'away' }, { accessToken: token }];
  const getToken = () => answers.shift()?.accessToken as string;
  const client = createClient({ url: gateway.url, getToken });
  try {
    assert.deepEqual((await client.query({ query: '{ __typename }' })).data, { __typename: 'Query' });
    assert.deepEqual(answers, []);
  } finally {
    client.close();
  }
});
