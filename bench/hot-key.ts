/**
 * A hot key: one key with very many subscribers and records. How long do the other keys of its partition wait for theirs?
 * `npm run bench -- hot-key [--subscribers 1000] [--hot-rate 2000] [--others 200] [--rate 100] [--seconds 15] [--profile]`. The clients are connected to
 * the one gateway itself: what is measured is its fan-out, not the router's pipe.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { partitionOf } from '../lib/kafka/index.ts';
import { startStack } from '../test/support/stack.ts';
import { until } from '../test/support/until.ts';
import { profile } from './swarm/profile.ts';
import { row, spreadOf } from './swarm/statistics.ts';
import { openSwarm, openSwarmProducer } from './swarm/swarm.ts';
import { openIssuer, usersWhere } from './swarm/users.ts';
import { vitalsOf } from './swarm/vitals.ts';

const { values } = parseArgs({
  options: {
    subscribers: { type: 'string', default: '1000' },
    'hot-rate': { type: 'string', default: '2000' },
    others: { type: 'string', default: '200' },
    rate: { type: 'string', default: '100' },
    seconds: { type: 'string', default: '15' },
    profile: { type: 'boolean', default: false },
  },
});
const subscribers = Number(values.subscribers);
const measuredMs = Number(values.seconds) * 1_000;
const say = (text: string) => void process.stdout.write(text);

const issuer = await openIssuer();
const stack = await startStack({ gateways: 1, handlers: 0, projectors: 0, app: 'bench/swarm/app', env: issuer.env });
try {
  await run();
} finally {
  await stack.stop();
  await issuer.close();
}

async function run(): Promise<void> {
  const [hot = '', ...others] = usersWhere(
    1 + Number(values.others),
    user => partitionOf(user, stack.partitions) === 0,
  );
  const gateway = stack.process('gateway-0');
  const common = {
    address: { host: '127.0.0.1', port: Number(new URL(gateway.url).port) },
    connectsPerSecond: 500,
    retry: 'eager',
    direct: true,
  } as const;
  const place = { brokers: stack.kafka, topic: 'swarm.records', partitions: stack.partitions, paddingBytes: 0 };
  const hotAcknowledged = new SharedArrayBuffer(4);
  const acknowledged = new SharedArrayBuffer(4 * others.length);
  const accessToken = issuer.accessToken(hot);
  const hotSwarm = openSwarm({
    ...common,
    users: Array.from({ length: subscribers }, () => ({ index: 0, accessToken, group: 'hot' })),
    acknowledged: hotAcknowledged,
    countOnly: true,
  });
  const swarm = openSwarm({
    ...common,
    users: others.map((user, index) => ({ index, accessToken: issuer.accessToken(user), group: 'others' })),
    acknowledged,
    countOnly: false,
  });
  await until('all clients are connected', () => isLive(), 60_000);
  const producer = openSwarmProducer({
    ...{ ...place, users: others, acknowledged },
    recordsPerSecond: Number(values.rate),
  });
  const hotProducer = openSwarmProducer({
    ...{ ...place, users: [hot], acknowledged: hotAcknowledged },
    recordsPerSecond: Number(values['hot-rate']),
  });
  producer.start();
  await sleep(measuredMs);

  swarm.mark();
  hotProducer.start();
  const before = await vitalsOf(stack);
  const endProfile = values.profile ? await profile(gateway.pid, `/tmp/hot-key-${process.pid}.cpuprofile`) : undefined;
  const first = await hotSwarm.report();
  await sleep(measuredMs);
  const last = await hotSwarm.report();
  if (endProfile) say(`\n${await endProfile()}\n`);
  const after = await vitalsOf(stack);
  const hotRecords = await hotProducer.stop();
  const records = await producer.stop();
  const stoppedMs = Date.now();
  const hasAll = () => swarm.status().atMs > stoppedMs && swarm.status().complete === others.length;
  await until('the others have everything', hasAll, 60_000).catch((error: unknown) => say(`${error}\n`));
  const { groups, counts } = await swarm.report();
  hotSwarm.close();
  swarm.close();

  const delivered = (last.groups.hot?.records ?? 0) - (first.groups.hot?.records ?? 0);
  say(
    `\n${availableParallelism()} cores, Node ${process.version}; one gateway, one broker; a key with ${subscribers} subscribers at ` +
      `${values['hot-rate']} records/s (${hotRecords} written, ${(delivered / (measuredMs / 1_000)).toFixed(0)} deliveries/s), ` +
      `${others.length} other keys of its partition at ${values.rate}/s (${records})\n\n`,
  );
  say(row('other keys, append → client', 'records', 'p50 ms', 'p99 ms', 'max ms'));
  say(row('---', '---', '---', '---', '---'));
  const group = groups.others;
  for (const [name, latencies] of [
    ['without the hot key', group?.latencyBeforeMs ?? []],
    ['with it', group?.latencySinceMs ?? []],
  ] as const) {
    const { count, p50, p99, max } = spreadOf(latencies);
    say(row(name, count, p50.toFixed(0), p99.toFixed(0), max.toFixed(0)));
  }
  say(
    `\nothers: lost ${group?.lost}, twice ${group?.twice}, not complete ${group?.incomplete}; ${JSON.stringify(counts)}\n`,
  );
  say(`hot clients: ${JSON.stringify(last.counts)}\n`);
  const [then, now] = [before, after].map(all => all.find(({ name }) => name === 'gateway-0'));
  say(
    `gateway: ${((now?.cpuSeconds ?? 0) - (then?.cpuSeconds ?? 0)).toFixed(1)} CPU s, RSS ${then?.rssMb.toFixed(0)} → ` +
      `${now?.rssMb.toFixed(0)} MB, event loop p99 ${now?.loopP99Ms.toFixed(0)} ms, max ${now?.loopMaxMs.toFixed(0)} ms\n`,
  );

  function isLive(): boolean {
    return hotSwarm.status().live === subscribers && swarm.status().live === others.length;
  }
}
