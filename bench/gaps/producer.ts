import { testKafka } from '../../test/support/dump.ts';
import { topic } from './system.ts';

/** A steady stream of records for each user. */
export interface Producer {
  close(): Promise<void>;
}

const tickMs = 10;

/** `ratePerSecond` records a second for each user, the users spread evenly over the interval. */
export async function produce(
  brokers: readonly string[],
  users: readonly string[],
  ratePerSecond: number,
): Promise<Producer> {
  const producer = testKafka(brokers).producer({ maxInFlightRequests: 1, idempotent: true });
  await producer.connect();
  const total = ratePerSecond * users.length;
  const begin = performance.now();
  let sent = 0;
  let running = true;
  const loop = async () => {
    while (running) {
      const due = Math.floor(((performance.now() - begin) / 1_000) * total);
      const messages = [];
      for (; sent < due; sent++) {
        const user = users[sent % users.length] ?? '';
        messages.push({ key: user, value: JSON.stringify(transaction(`${user}/${Math.floor(sent / users.length)}`)) });
      }
      if (messages.length > 0) await producer.send({ topic, messages });
      await new Promise(resolve => setTimeout(resolve, tickMs));
    }
  };
  const done = loop();
  return {
    async close() {
      running = false;
      await done;
      await producer.disconnect();
    },
  };
}

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
