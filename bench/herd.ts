/**
 * A herd: all clients of one gateway come back at once after its `kill -9`, while records go on being written.
 * `npm run bench -- herd [--clients 5000] [--bystanders 200] [--gateways 3] [--routers 1] [--rate 1000] [--retry stock|eager]
 * [--restart] [--profile router-0] [--folder F]` (a folder is kept, with its logs). Prints how long each took until it had everything, and what it cost.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { partitionOf } from '../lib/kafka/index.ts';
import { openOwnerRegistry } from '../lib/ownership/registry.ts';
import type { Owner } from '../lib/ownership/types.ts';
import { openRedis } from '../lib/redis/index.ts';
import { quietOps } from '../test/support/quiet-ops.ts';
import { type Stack, startStack } from '../test/support/stack.ts';
import { until } from '../test/support/until.ts';
import type { GroupReport, SwarmUser } from './swarm/clients-thread.ts';
import { profile } from './swarm/profile.ts';
import { row, spreadOf } from './swarm/statistics.ts';
import { openSwarm, openSwarmProducer } from './swarm/swarm.ts';
import { openIssuer, usersWhere } from './swarm/users.ts';
import { type Vitals, vitalsOf } from './swarm/vitals.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '5000' },
    bystanders: { type: 'string', default: '200' },
    gateways: { type: 'string', default: '3' },
    routers: { type: 'string', default: '1' },
    rate: { type: 'string', default: '1000' },
    retry: { type: 'string', default: 'stock' },
    restart: { type: 'boolean', default: false },
    profile: { type: 'string' },
    folder: { type: 'string' },
  },
});
const clients = Number(values.clients);
const bystanders = Number(values.bystanders);
const gateways = Number(values.gateways);
const retry = values.retry === 'eager' ? 'eager' : 'stock';
const victim = 'gateway-0';
const topic = 'swarm.records';
/** Records flow for so long before the kill and after everybody is back, ms. */
const steadyMs = 5_000;
const patienceMs = 60_000;
/** What is late is printed; the figures that follow show the rest. */
const tell = (error: unknown) => say(`${error}\n`);
const say = (text: string) => void process.stdout.write(text);

const issuer = await openIssuer();
const stack = await startStack({
  gateways,
  routers: Number(values.routers),
  handlers: 0,
  projectors: 0,
  app: 'bench/swarm/app',
  env: issuer.env,
  ...(values.folder !== undefined && { folder: values.folder }),
});
try {
  await herd();
} finally {
  await stack.stop();
  await issuer.close();
}

async function herd(): Promise<void> {
  const address = stack.process(victim).url;
  const owners = await ownersOf(stack);
  const ownerOf = (user: string) => owners.get(partitionOf(user, stack.partitions));
  const hit = usersWhere(clients, user => ownerOf(user) === address);
  const others = usersWhere(bystanders, user => ownerOf(user) !== address);
  const users = [...hit, ...others];
  const acknowledged = new SharedArrayBuffer(4 * users.length);
  const swarm = openSwarm({
    address: { host: '127.0.0.1', port: Number(new URL(stack.url).port) },
    users: users.map(
      (user, index): SwarmUser => ({
        index,
        accessToken: issuer.accessToken(user),
        group: index < hit.length ? 'hit' : 'elsewhere',
      }),
    ),
    connectsPerSecond: 500,
    direct: false,
    countOnly: false,
    retry,
    acknowledged,
  });
  const producer = openSwarmProducer({
    ...{ brokers: stack.kafka, topic, partitions: stack.partitions, users, acknowledged },
    ...{ recordsPerSecond: Number(values.rate), paddingBytes: 0 },
  });
  const all = users.length;
  await until('all clients are connected', () => swarm.status().live === all, patienceMs);
  producer.start();
  await sleep(steadyMs);
  const steady = await vitalsOf(stack);
  await sleep(steadyMs);
  const before = await vitalsOf(stack);
  const profiled = values.profile;
  const endProfile =
    profiled === undefined
      ? undefined
      : await profile(stack.process(profiled).pid, `/tmp/${profiled}-${process.pid}.cpuprofile`);

  swarm.mark();
  if (values.restart) stack.kill(victim);
  else void stack.down(victim);
  await until('everybody has caught up', () => swarm.status().caughtUp >= clients, patienceMs).catch(tell);
  if (endProfile) say(`\n${await endProfile()}\n`);
  const after = await vitalsOf(stack);
  await sleep(steadyMs);
  const records = await producer.stop();
  const stoppedMs = Date.now();
  const hasAll = () => swarm.status().atMs > stoppedMs && swarm.status().complete === all;
  await until('everybody has everything', hasAll, patienceMs).catch(tell);
  const { groups, counts } = await swarm.report();
  swarm.close();

  say(
    `\n${availableParallelism()} cores, Node ${process.version}; ${gateways} gateways, ${values.routers} router(s), one broker; ` +
      `${clients} clients of ${victim} (kill -9${values.restart ? ', started again' : ''}), ${bystanders} elsewhere; ` +
      `${records} records at ${values.rate}/s; ${retry} retry\n\n`,
  );
  sayGroups(groups);
  say(`\n${JSON.stringify(counts, undefined, 2)}\n`);
  sayVitals(steady, before, after);
}

function sayGroups(groups: Readonly<Record<string, GroupReport>>): void {
  say(row('clients', 'what', 'count', 'p50 ms', 'p99 ms', 'max ms'));
  say(row('---', '---', '---', '---', '---', '---'));
  for (const [name, group] of Object.entries(groups)) {
    const measured: [string, readonly number[]][] = [
      ['stream open again', group.reopenedMs],
      ['caught up', group.caughtUpMs],
      ['append → client before', group.latencyBeforeMs],
      ['append → client since', group.latencySinceMs],
      ['longest of each client', group.longestMs],
    ];
    for (const [what, values] of measured) {
      if (values.length === 0) continue;
      const { count, p50, p99, max } = spreadOf(values);
      say(row(name, what, count, p50.toFixed(0), p99.toFixed(0), max.toFixed(0)));
    }
    const { records, lost, twice, incomplete } = group;
    say(
      row(name, `${records} records: lost ${lost}, twice ${twice}, clients not complete ${incomplete}`, '', '', '', ''),
    );
  }
}

function sayVitals(steady: readonly Vitals[], before: readonly Vitals[], after: readonly Vitals[]): void {
  say(
    `\n${row('process', 'CPU s a second before', 'CPU s until all were back', 'RSS MB before', 'after', 'peak', 'event loop p99 ms', 'max ms')}`,
  );
  say(row('---', '---', '---', '---', '---', '---', '---', '---'));
  for (const now of after) {
    const then = before.find(({ name }) => name === now.name);
    const used = (then?.cpuSeconds ?? 0) - (steady.find(({ name }) => name === now.name)?.cpuSeconds ?? 0);
    const spent = [used / (steadyMs / 1_000), now.cpuSeconds - (then?.cpuSeconds ?? 0)].map(value => value.toFixed(2));
    const others = [then?.rssMb ?? 0, now.rssMb, now.peakMb, now.loopP99Ms, now.loopMaxMs];
    say(row(now.name, ...spent, ...others.map(value => (Number.isNaN(value) ? '' : value.toFixed(0)))));
  }
}

/** Partition → address of its owner. */
async function ownersOf({ redis: url, partitions }: Stack): Promise<ReadonlyMap<number, string>> {
  const ops = quietOps();
  const redis = openRedis({ url, tlsCaFile: undefined }, ops);
  const registry = openOwnerRegistry(redis, 'penstock-gateway', () => partitions, ops.log);
  const owners = await until('every partition has an owner', async () => {
    // It rejects until it is connected.
    const found = await registry.load().catch(() => new Map<number, Owner>());
    const isWhole = found.size === partitions && [...found.values()].every(({ address }) => address !== '');
    return isWhole ? found : undefined;
  });
  redis.disconnect();
  return new Map([...owners].map(([partition, { address }]) => [partition, address]));
}
