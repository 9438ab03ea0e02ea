/**
 * Readers of a hot stream that stop reading: what do they cost the gateway, and do they get everything when they go on?
 * `npm run bench -- stopped-readers [--readers 500] [--rate 2000] [--seconds 30] [--watchers 50] [--budget 1048576]
 * [--slow-timeout 20000] [--padding 450] [--profile]`. All readers have one key; two more clients of that key read on (and have their turns
 * together with them: it is one user), and so do the watchers, of other keys of its partition. The gateway writes until the readers'
 * budgets are full, which takes longer than the records where they are many, since the kernel takes some MB for each; then what it holds is
 * looked at. The readers go on when they have been closed; with a slow timeout of more than a minute at once, over the same connections.
 * Ends with code 1 when a record is lost or comes twice, or when the gateway holds more than G13 allows.
 */
import { availableParallelism } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { partitionOf } from '../lib/kafka/index.ts';
import { startStack } from '../test/support/stack.ts';
import { until } from '../test/support/until.ts';
import type { GroupReport } from './swarm/clients-thread.ts';
import { heldBytes, type Memory, watchMemory } from './swarm/memory.ts';
import { profile } from './swarm/profile.ts';
import { row, spreadOf } from './swarm/statistics.ts';
import { openSwarm, openSwarmProducer, type Swarm } from './swarm/swarm.ts';
import { openIssuer, usersWhere } from './swarm/users.ts';

const { values } = parseArgs({
  options: {
    readers: { type: 'string', default: '500' },
    rate: { type: 'string', default: '2000' },
    seconds: { type: 'string', default: '30' },
    watchers: { type: 'string', default: '50' },
    budget: { type: 'string', default: '1048576' },
    'slow-timeout': { type: 'string', default: '20000' },
    profile: { type: 'boolean', default: false },
    padding: { type: 'string', default: '450' },
  },
});
const readers = Number(values.readers);
const watchers = Number(values.watchers);
const rate = Number(values.rate);
const budgetBytes = Number(values.budget);
const hotMs = Number(values.seconds) * 1_000;
const slowTimeoutMs = Number(values['slow-timeout']);
/** What all streams of a gateway share: the ring of recent records, and results that are kept for others to take. */
const sharedBytes = { ring: 67_108_864, results: 16_777_216 };
/** A record's value is so many bytes more than its number and time. */
const paddingBytes = Number(values.padding);
/** Roughly what such a record is on its way: with its names and its cursor. */
const recordBytes = paddingBytes + 350;
/** Of the hot key while everybody reads it, and of the other keys together, always. */
const [warmRate, otherRate] = [20, 100];
const hotWatchers = 2;
const steadyMs = 10_000;
const patienceMs = 1_800_000;
/** After the gateway stood still to be looked at. */
const settleMs = 2_000;
/** Deliveries a second that are next to nothing: what the watchers take, and a little more. */
const quietRate = 5 * otherRate;
const say = (text: string) => void process.stdout.write(text);
const megabytes = (bytes: number) => (bytes / 1_048_576).toFixed(0);

const issuer = await openIssuer();
const stack = await startStack({
  ...{ gateways: 1, handlers: 0, projectors: 0, app: 'bench/swarm/app' },
  env: {
    ...issuer.env,
    PENSTOCK_GATEWAY_SOCKET_BUFFER_BYTES: String(budgetBytes),
    PENSTOCK_GATEWAY_SLOW_TIMEOUT_MS: values['slow-timeout'],
    PENSTOCK_GATEWAY_RESULT_BYTES: String(sharedBytes.results),
    PENSTOCK_REPLAY_RING_BYTES: String(sharedBytes.ring),
  },
});
try {
  process.exitCode = (await run()) ? 0 : 1;
} finally {
  await stack.stop();
  await issuer.close();
}

/** Until the gateway writes next to nothing any more: whoever does not read has all that is held for him. */
async function untilQuiet(admin: string): Promise<void> {
  let last = Number.NEGATIVE_INFINITY;
  const isQuiet = async () => {
    await sleep(1_000);
    const before = last;
    last = await metricOf(admin, 'penstock_gateway_delivered_total\\{.*\\}');
    return last - before < quietRate;
  };
  await until('nothing more is written for the readers', isQuiet, patienceMs);
}

/** @returns whether nothing was lost, nothing came twice and memory kept within the bound. */
async function run(): Promise<boolean> {
  const [hot = '', ...others] = usersWhere(1 + watchers, user => partitionOf(user, stack.partitions) === 0);
  const gateway = stack.process('gateway-0');
  const hotAcknowledged = new SharedArrayBuffer(4);
  const otherAcknowledged = new SharedArrayBuffer(4 * others.length);
  const common = {
    address: { host: '127.0.0.1', port: Number(new URL(gateway.url).port) },
    ...({ connectsPerSecond: 500, retry: 'eager', direct: true, padding: true } as const),
  };
  const ofHotKey = (count: number, countOnly: boolean) =>
    openSwarm({
      ...{ ...common, countOnly, acknowledged: hotAcknowledged },
      users: Array.from({ length: count }, () => ({ index: 0, accessToken: issuer.accessToken(hot), group: 'all' })),
    });
  const stopped = ofHotKey(readers, true);
  const reading: Record<string, Swarm> = {
    'the hot key': ofHotKey(hotWatchers, false),
    'other keys': openSwarm({
      ...{ ...common, countOnly: false, acknowledged: otherAcknowledged },
      users: others.map((user, index) => ({ index, accessToken: issuer.accessToken(user), group: 'all' })),
    }),
  };
  const swarms = [stopped, ...Object.values(reading)];
  const place = { brokers: stack.kafka, topic: 'swarm.records', partitions: stack.partitions, paddingBytes };
  const hotProducer = openSwarmProducer({
    ...{ ...place, users: [hot], acknowledged: hotAcknowledged, recordsPerSecond: rate },
  });
  const otherProducer = openSwarmProducer({
    ...{ ...place, users: others, acknowledged: otherAcknowledged, recordsPerSecond: otherRate },
  });
  const everybody = readers + hotWatchers + others.length;
  const count = (of: 'live' | 'complete') => swarms.reduce((sum, swarm) => sum + swarm.status()[of], 0);
  await until('all clients are connected', () => count('live') === everybody, 120_000);
  const memory = watchMemory(gateway.admin);
  otherProducer.start();
  hotProducer.start(warmRate);
  await sleep(steadyMs);

  const heldBefore = await heldBytes(gateway.pid);
  const before = (await memory.phase()).now;
  for (const swarm of swarms) swarm.mark();
  stopped.pause();
  hotProducer.start();
  const stoppedAtMs = Date.now();
  await sleep(hotMs);
  const hotRecords = await hotProducer.stop();
  await untilQuiet(gateway.admin).catch(tell);
  const fullMs = Date.now() - stoppedAtMs;
  const delaysUntil = await delaysOf(reading);
  const connected = await metricOf(gateway.admin, 'penstock_gateway_connections');
  const held = await heldBytes(gateway.pid);
  await sleep(settleMs);
  const delaysFrom = await delaysOf(reading);
  const areClosed = async () => (await metricOf(gateway.admin, 'penstock_gateway_slow_closed_total')) >= readers;
  if (slowTimeoutMs <= 60_000) await until('the readers are closed', areClosed, 2 * slowTimeoutMs).catch(tell);
  const whileStopped = await memory.phase();
  const slowClosed = await metricOf(gateway.admin, 'penstock_gateway_slow_closed_total');
  const delays = await delaysOf(reading);

  const file = `/tmp/stopped-readers-${process.pid}.cpuprofile`;
  const endProfile = values.profile ? await profile(gateway.pid, file) : undefined;
  const resumedMs = Date.now();
  stopped.resume();
  const areDone = () => stopped.status().atMs > resumedMs && stopped.status().complete === readers;
  await until('the readers have everything', areDone, patienceMs).catch(tell);
  if (endProfile) say(`\n${await endProfile()}\n`);
  const whileResuming = await memory.phase();
  const otherRecords = await otherProducer.stop();
  const endedMs = Date.now();
  const areComplete = () => swarms.every(({ status }) => status().atMs > endedMs) && count('complete') === everybody;
  await until('all have everything', areComplete, 60_000).catch(tell);
  await sleep(steadyMs);
  const afterwards = await memory.phase();
  await memory.close();
  const heldAfter = await heldBytes(gateway.pid);
  const { groups, counts } = await stopped.report();
  const allDelays = await delaysOf(reading);
  const checked = [await checkOf('that stopped', stopped, readers * hotRecords)];
  for (const [keys, swarm] of Object.entries(reading)) {
    checked.push(await checkOf(`of ${keys}`, swarm, keys === 'the hot key' ? hotWatchers * hotRecords : otherRecords));
  }
  for (const swarm of swarms) swarm.close();

  say(
    `\n${availableParallelism()} cores, Node ${process.version}; one gateway, one broker; ${readers} readers of a key that stop ` +
      `while it has, for ${values.seconds} s, ${rate} records/s of ${paddingBytes} bytes and more (${hotRecords} written in all); ` +
      `${hotWatchers} clients of that key and ${others.length} of other keys (${otherRate} records/s) read on; budget ${budgetBytes} bytes, ` +
      `slow timeout ${slowTimeoutMs} ms\n\n`,
  );
  sayMemory(before, whileStopped, whileResuming, afterwards);
  const isWithin = sayBound([heldBefore, held, heldAfter], connected, fullMs);
  say(`\n${slowClosed} readers were too slow for the gateway (1013). What they saw: ${JSON.stringify(counts)}\n`);
  sayTimes([delaysUntil, delaysFrom, delays, allDelays], groups.all);
  say(`\n${row('clients', 'records', 'of', 'lost', 'twice or out of order', 'not complete')}`);
  say(row('---', '---', '---', '---', '---', '---'));
  for (const { line } of checked) say(line);
  return isWithin && checked.every(({ isRight }) => isRight);
}

function tell(error: unknown): void {
  say(`${error}\n`);
}

async function metricOf(admin: string, name: string): Promise<number> {
  const metrics = await (await fetch(`${admin}/metrics`)).text();
  return Number(new RegExp(`^${name} (.*)$`, 'm').exec(metrics)?.[1] ?? 0);
}

type Delays = Record<string, { before: readonly number[]; since: readonly number[] }>;

async function delaysOf(swarms: Readonly<Record<string, Swarm>>): Promise<Delays> {
  const delays: Delays = {};
  for (const [keys, swarm] of Object.entries(swarms)) {
    const { all } = (await swarm.report()).groups;
    delays[keys] = { before: all?.latencyBeforeMs ?? [], since: all?.latencySinceMs ?? [] };
  }
  return delays;
}

async function checkOf(clients: string, swarm: Swarm, expected: number): Promise<{ line: string; isRight: boolean }> {
  const { all } = (await swarm.report()).groups;
  const { records = 0, lost = 0, twice = 0, incomplete = 0 } = all ?? {};
  const isRight = records === expected && lost === 0 && twice === 0 && incomplete === 0;
  return { line: row(clients, records, expected, lost, twice, incomplete), isRight };
}

type Phase = Record<'highest' | 'now', Memory>;

function sayMemory(before: Memory, whileStopped: Phase, whileResuming: Phase, afterwards: Phase): void {
  say(row('gateway, MB (what nobody holds any more too)', 'resident', 'V8 heap', 'buffers'));
  say(row('---', '---', '---', '---'));
  for (const [when, memory] of [
    ['before', before],
    ['highest while they did not read', whileStopped.highest],
    ['when they went on', whileStopped.now],
    ['highest until they had everything', whileResuming.highest],
    [`${steadyMs / 1_000} s later`, afterwards.now],
  ] as const) {
    say(row(when, ...[memory.rssBytes, memory.heapBytes, memory.externalBytes].map(megabytes)));
  }
}

/** @returns whether what the process holds has grown by no more than the budgets allow. */
function sayBound(held: readonly [number, number, number], connected: number, fullMs: number): boolean {
  const [before, full, afterwards] = held;
  const boundBytes = readers * 2 * (budgetBytes + recordBytes) + sharedBytes.ring + sharedBytes.results;
  const isWithin = full - before <= boundBytes;
  say(
    `\nBound (G13): ${readers} × 2 × (${budgetBytes} + ${recordBytes}) bytes, ${megabytes(sharedBytes.ring)} MB of recent records and ` +
      `${megabytes(sharedBytes.results)} MB of results = ${megabytes(boundBytes)} MB. Held after a collection, with ${connected} connections, ` +
      `${(fullMs / 1_000).toFixed(0)} s after the stop, when nothing more was written: ${megabytes(full)} MB, ${megabytes(full - before)} MB more than before: ${isWithin ? 'within it' : 'BEYOND IT'}. ` +
      `At the end ${megabytes(afterwards)} MB.\n`,
  );
  return isWithin;
}

/** @param told what had been measured before the gateway stood still, after that, when the readers went on, and at the end. */
function sayTimes(told: readonly [Delays, Delays, Delays, Delays], stopped: GroupReport | undefined): void {
  say(`\n${row('what', 'count', 'p50 ms', 'p99 ms', 'max ms')}`);
  say(row('---', '---', '---', '---', '---'));
  const line = (what: string, measured: readonly number[]) => {
    if (measured.length === 0) return;
    const { count, p50, p99, max } = spreadOf(measured);
    say(row(what, count, ...[p50, p99, max].map(ms => ms.toFixed(0))));
  };
  for (const keys of Object.keys(told[0])) {
    const [until = [], from = [], resumed = [], all = []] = told.map(delays => delays[keys]?.since);
    line(`clients of ${keys}, append → client, before`, told[0][keys]?.before ?? []);
    line('the same while the readers did not read', [...until, ...resumed.slice(from.length)]);
    line('the same while they caught up', all.slice(resumed.length));
  }
  line('readers: from going on until everything was there', stopped?.resumedMs ?? []);
}
