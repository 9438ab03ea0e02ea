import { cpus } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { dumpTopic, testKafka } from '../test/support/dump.ts';
import { startStack } from '../test/support/stack.ts';
import { openFar } from './gaps/far.ts';
import { type Observation, observe } from './gaps/observe.ts';
import { penstock } from './gaps/penstock.ts';
import { goFirst } from './gaps/priority.ts';
import { produce } from './gaps/producer.ts';
import { table } from './gaps/report.ts';
import { faults, gatewayCount, type System, topic } from './gaps/system.ts';
import { usual } from './gaps/usual.ts';

/**
 * The longest delivery gap while gateways come, go and die, for keys that move and keys that don't, and what is lost on the
 * way: Penstock and the usual design (bench/usual), one after the other on the same brokers, under the same producer and
 * the same faults. The truth is a dump of the topic after the run.
 * `npm run gaps -- [--clients 60] [--rate 20] [--rounds 1] [--brokers 1] [--rtt 0] [--systems penstock,penstock-stock,usual,usual-quick] [--faults 'nothing,kill -9,return']`.
 * `penstock-stock` is Penstock with clients that move when they are closed, as any stock client does, and not while they are served.
 * `usual-quick` is the usual design with clients that wait no longer before they retry than Penstock's reference client.
 * `--rate`: records a second for each client; no gap can be shorter than the time between two of its records.
 * `--rtt`: ms that a round trip between Penstock's clients and its router takes, beyond the machine's own.
 */
const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '60' },
    rate: { type: 'string', default: '20' },
    rounds: { type: 'string', default: '1' },
    brokers: { type: 'string', default: '1' },
    rtt: { type: 'string', default: '0' },
    systems: { type: 'string', default: 'penstock,usual' },
    faults: { type: 'string', default: faults.join() },
  },
});
const users = Array.from({ length: Number(values.clients) }, (_, index) => `gap-${index}`);
const chosen = values.faults.split(',').map(name => {
  const fault = faults.find(fault => fault === name);
  if (fault === undefined) throw new Error(`--faults: there is no ${name}, only ${faults.join()}`);
  return fault;
});
const quietMs = 5_000;

async function open(name: string): Promise<System> {
  const moves = name === 'penstock';
  if (moves || name === 'penstock-stock') return penstock({ stack, quietMs, moves, url: far?.url ?? stack.url });
  for (const { name } of stack.processes()) await stack.down(name); // the machine is the other's now
  if (name === 'usual') return usual(stack, quietMs);
  if (name === 'usual-quick') return usual(stack, quietMs, quickRetry);
  throw new Error(`--systems: there is no ${name}`);
}

/** As test/support/stock-line.ts waits. */
function quickRetry(attempt: number): Promise<void> {
  return sleep(Math.min(1_000, 50 * attempt) * (0.5 + Math.random()));
}

const stack = await startStack({
  gateways: gatewayCount,
  handlers: 0,
  projectors: 0,
  brokers: values.brokers === '3' ? 3 : 1,
});
const rttMs = Number(values.rtt);
const far = rttMs > 0 ? await openFar(stack.url, rttMs) : undefined;
// Not what it starts: the stack is there.
const first = goFirst();
try {
  const observations: Observation[] = [];
  const producer = produce({ brokers: stack.kafka, users, ratePerSecond: Number(values.rate) });
  for (const name of values.systems.split(',')) {
    const system = await open(name);
    observations.push(await observe(system, users, chosen, Number(values.rounds)));
    await system.close();
  }
  await producer.close();
  const records = await dumpTopic(testKafka(stack.kafka), topic, 120_000);
  process.stdout.write(
    `\n${cpus().length} cores, Node ${process.version}, ${values.brokers} broker(s), ${gatewayCount} gateways, ${users.length} clients, ` +
      `${values.rate} records/s each, ${values.rounds} round(s), ${records.length} records, round trip + ${rttMs}; ` +
      `the clients ${first ? 'go before' : 'share the cores with'} the servers; ms\n\n`,
  );
  process.stdout.write(table(observations, records));
} finally {
  await far?.close();
  await stack.stop();
}
