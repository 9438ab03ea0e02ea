/** A thread that writes a steady stream of records for each user, until it is told to stop. */
import { parentPort, workerData } from 'node:worker_threads';
import { testKafka } from '../../test/support/dump.ts';
import { recordId } from './record-id.ts';
import { topic } from './system.ts';

export interface ProducerThreadData {
  brokers: readonly string[];
  users: readonly string[];
  /** For each user; the users are spread evenly over the interval. */
  ratePerSecond: number;
}

const tickMs = 10;
const { brokers, users, ratePerSecond } = workerData as ProducerThreadData;
const producer = testKafka(brokers).producer({ maxInFlightRequests: 1, idempotent: true });
await producer.connect();
let running = true;
parentPort?.once('message', () => {
  running = false;
});
const total = ratePerSecond * users.length;
const begin = performance.now();
let sent = 0;
while (running) {
  const due = Math.floor(((performance.now() - begin) / 1_000) * total);
  const messages = [];
  for (; sent < due; sent++) {
    const user = users[sent % users.length] ?? '';
    messages.push({ key: user, value: JSON.stringify(transaction(recordId(user, Math.floor(sent / users.length)))) });
  }
  if (messages.length > 0) await producer.send({ topic, messages });
  await new Promise(resolve => setTimeout(resolve, tickMs));
}
await producer.disconnect();

function transaction(id: string) {
  return {
    id,
    iban: 'NL00PENS0000000000',
    newBalance: 1,
    changedBy: 1,
    fromTo: 'cash',
    direction: 'CREDIT',
    descr: 'gaps',
    time: new Date().toISOString(),
  };
}
