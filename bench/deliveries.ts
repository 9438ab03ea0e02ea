/**
 * What a delivery costs: server CPU seconds per 100,000 of them, one key a client, at several rates.
 * `npm run bench -- deliveries [--clients 500] [--rates 1000,10000] [--seconds 10] [--profile]`. The clients are connected to the
 * one gateway itself; `--profile` prints where the last rate's time went.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { startStack } from '../test/support/stack.ts';
import { until } from '../test/support/until.ts';
import { profile } from './swarm/profile.ts';
import { row, spreadOf } from './swarm/statistics.ts';
import { openSwarm, openSwarmProducer } from './swarm/swarm.ts';
import { openIssuer, usersWhere } from './swarm/users.ts';
import { vitalsOf } from './swarm/vitals.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '500' },
    rates: { type: 'string', default: '1000,10000' },
    seconds: { type: 'string', default: '10' },
    profile: { type: 'boolean', default: false },
  },
});
const clients = Number(values.clients);
const rates = values.rates.split(',').map(Number);
/** Not measured: code that is compiled, connections that are opened. */
const warmUpMs = 4_000;
const measuredMs = Number(values.seconds) * 1_000;
const say = (text: string) => void process.stdout.write(text);

const issuer = await openIssuer();
const stack = await startStack({ gateways: 1, handlers: 0, projectors: 0, app: 'bench/swarm/app', env: issuer.env });
try {
  say(`${availableParallelism()} cores, Node ${process.version}; one gateway, one broker, ${clients} clients\n\n`);
  say(
    row(
      'records/s',
      'deliveries',
      'gateway CPU s',
      'per 100,000',
      'p50 ms',
      'p99 ms',
      'max ms',
      'lost, twice, not complete',
    ),
  );
  say(row('---', '---', '---', '---', '---', '---', '---', '---'));
  for (const rate of rates) await measure(rate);
} finally {
  await stack.stop();
  await issuer.close();
}

async function measure(rate: number): Promise<void> {
  const users = usersWhere(clients, () => true).map(user => `${user}-${rate}`);
  const acknowledged = new SharedArrayBuffer(4 * users.length);
  const gateway = stack.process('gateway-0');
  const swarm = openSwarm({
    address: { host: '127.0.0.1', port: Number(new URL(gateway.url).port) },
    users: users.map((user, index) => ({ index, accessToken: issuer.accessToken(user), group: 'all' })),
    ...{ connectsPerSecond: 500, retry: 'eager', direct: true, countOnly: false, acknowledged },
  });
  const place = { brokers: stack.kafka, topic: 'swarm.records', partitions: stack.partitions, paddingBytes: 0 };
  const producer = openSwarmProducer({ ...place, users, acknowledged, recordsPerSecond: rate });
  await until('all clients are connected', () => swarm.status().live === clients, 60_000);
  producer.start();
  await sleep(warmUpMs);
  swarm.mark();
  const isLast = rate === rates[rates.length - 1];
  const endProfile =
    values.profile && isLast ? await profile(gateway.pid, `/tmp/deliveries-${process.pid}.cpuprofile`) : undefined;
  const [before, first] = await Promise.all([vitalsOf(stack), swarm.report()]);
  await sleep(measuredMs);
  const [after, last] = await Promise.all([vitalsOf(stack), swarm.report()]);
  if (endProfile) say(`\n${await endProfile()}\n`);
  await producer.stop();
  const stoppedMs = Date.now();
  const hasAll = () => swarm.status().atMs > stoppedMs && swarm.status().complete === clients;
  await until('everybody has everything', hasAll, 60_000).catch((error: unknown) => say(`${error}\n`));
  const { groups } = await swarm.report();
  swarm.close();

  const delivered = (last.groups.all?.records ?? 0) - (first.groups.all?.records ?? 0);
  const [then = 0, now = 0] = [before, after].map(all => all.find(({ name }) => name === 'gateway-0')?.cpuSeconds);
  const { p50, p99, max } = spreadOf(last.groups.all?.latencySinceMs ?? []);
  const faults = [groups.all?.lost, groups.all?.twice, groups.all?.incomplete].join(', ');
  const cost = [now - then, ((now - then) / delivered) * 100_000].map(seconds => seconds.toFixed(2));
  say(row(rate, delivered, ...cost, ...[p50, p99, max].map(ms => ms.toFixed(0)), faults));
}
