import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type ServerResponse } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { test } from 'node:test';
import { sendResult } from '../../../../services/gateway/http/answers.ts';
import { until } from '../../../support/until.ts';

test('an answer that its client does not read is given up; one that is read slowly is not', async () => {
  const responses: ServerResponse[] = [];
  const server = createServer((_, response) => {
    responses.push(response);
    sendResult(response, { data: { text: 'x'.repeat(40_000_000) } }, 'application/json', 400);
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const ask = async () => {
    const socket = connect((server.address() as AddressInfo).port, '127.0.0.1');
    await once(socket, 'connect');
    socket.on('error', () => undefined).write('GET / HTTP/1.1\r\nhost: a\r\n\r\n');
    return socket;
  };
  const mute = (await ask()).pause();
  await until('it is given up', () => responses[0]?.destroyed);
  const slow = await ask();
  let bytes = 0;
  slow.on('data', (data: Buffer) => {
    bytes += data.length;
    slow.pause();
    setTimeout(() => slow.resume(), 1);
  });
  await until('all has come', () => bytes > 40_000_000);
  assert.equal(responses[1]?.writableFinished, true);
  mute.destroy();
  slow.destroy();
  server.close();
});
