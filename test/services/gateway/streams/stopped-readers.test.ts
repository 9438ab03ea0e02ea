import assert from 'node:assert/strict';
import { once } from 'node:events';
import { after, before, test } from 'node:test';
import { WebSocket } from 'ws';
import { type GatewayLab, openGatewayLab, type TestGateway, userIn } from '../../../support/gateway.ts';
import { until } from '../../../support/until.ts';

/** Small, so that what would pile up without it is many times as much. */
const budgetBytes = 65_536;
const readers = 6;
const records = 250;
const recordBytes = 100_000;
/** What all share: the ring of recent records, and the results that are kept for others to take. */
const ringBytes = 8_388_608;
const resultBytes = 4_194_304;
/** A record that is kept keeps the fetch that it came with. */
const fetchBytes = 524_288;
/** Compiled code, connections. */
const slackBytes = 16_777_216;

let lab: GatewayLab;
let gateway: TestGateway;
const all: Reader[] = [];

before(async () => {
  lab = await openGatewayLab();
  gateway = await lab.gateway({
    env: {
      PENSTOCK_GATEWAY_SOCKET_BUFFER_BYTES: String(budgetBytes),
      PENSTOCK_GATEWAY_SLOW_TIMEOUT_MS: '120000',
      PENSTOCK_GATEWAY_PING_INTERVAL_MS: '60000',
      PENSTOCK_REPLAY_RING_BYTES: String(ringBytes),
      PENSTOCK_GATEWAY_RESULT_BYTES: String(resultBytes),
      NODE_OPTIONS: '--inspect=127.0.0.1:0',
    },
  });
});

after(async () => {
  for (const { socket } of all) socket.terminate();
  await lab.close();
});

/** What it was sent is not kept, only which. */
interface Reader {
  socket: WebSocket;
  numbers: number[];
}

async function openReader(token: string, query: string, extensions: object = {}): Promise<Reader> {
  const socket = new WebSocket(gateway.wsUrl, 'graphql-transport-ws');
  const reader: Reader = { socket, numbers: [] };
  all.push(reader);
  let isOpen = false;
  socket.on('open', () => socket.send(JSON.stringify({ type: 'connection_init', payload: { accessToken: token } })));
  socket.on('message', data => {
    const { type, payload } = JSON.parse(String(data));
    if (type === 'next') reader.numbers.push(payload.data.notes.n);
    else if (type === 'ping') isOpen = true;
    else socket.send(JSON.stringify({ id: '1', type: 'subscribe', payload: { query, extensions } }));
  });
  await until('its stream is open', () => isOpen);
  return reader;
}

/** What the gateway's process holds when everything that nobody holds has been collected. */
async function heldBytes(): Promise<number> {
  const inspector = new WebSocket(/Debugger listening on (ws:\S+)/.exec(gateway.log())?.[1] ?? '');
  await once(inspector, 'open');
  const ask = async (method: string, params = {}) => {
    inspector.send(JSON.stringify({ id: 1, method, params }));
    const [answer] = await once(inspector, 'message');
    return JSON.parse(String(answer)).result;
  };
  // What a buffer leaves behind is given back by the collection after the one that finds it.
  for (let round = 0; round < 3; round++) await ask('HeapProfiler.collectGarbage');
  const expression = '(({ heapUsed, external }) => heapUsed + external)(process.memoryUsage())';
  const { result } = await ask('Runtime.evaluate', { expression });
  inspector.close();
  return result.value;
}

/**
 * Without limits a gateway would keep for each of them what the kernel does not: some 15 MB of the 25. What it may keep:
 * a budget on the way to the socket and one of records before that, each over by one record.
 */
test('readers of a hot stream that stop cost the gateway no more than their budgets, and then get everything', async t => {
  const user = userIn(0);
  const token = await lab.accessToken(user);
  for (let index = 0; index < readers; index++) {
    const { socket } = await openReader(token, 'subscription { notes { n text } }');
    socket.pause();
  }
  const beforeBytes = await heldBytes();
  const text = 'x'.repeat(recordBytes);
  await Promise.all(Array.from({ length: records }, (_, index) => lab.note(user, index + 1, { text })));

  // Somebody who reads gets them all meanwhile: then the stopped ones have been offered them as well.
  const quick = await openReader(token, 'subscription { notes { n } }', { from: 'earliest' });
  await until('the quick one has everything', () => quick.numbers.length === records, 60_000);
  const grownBytes = (await heldBytes()) - beforeBytes;
  const allowedBytes = readers * (2 * (budgetBytes + recordBytes) + fetchBytes) + ringBytes + resultBytes + slackBytes;
  t.diagnostic(`grown by ${grownBytes} bytes, of ${allowedBytes}; sent ${readers * records * recordBytes}`);
  assert.ok(grownBytes <= allowedBytes, `grown by ${grownBytes} bytes, more than ${allowedBytes}`);

  for (const { socket } of all) socket.resume();
  const expected = Array.from({ length: records }, (_, index) => index + 1);
  for (const { numbers } of all) {
    await until('a reader that goes on has everything', () => numbers.length >= records, 60_000);
    assert.deepEqual(numbers, expected);
  }
});
