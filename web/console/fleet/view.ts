import type { FleetView, HandoffRow, Instance, InstanceState, PartitionRow, PartitionState, Totals } from './types.ts';

/** The newest state of each process, by key. */
export interface Entry {
  state: InstanceState;
  /** By the brokers' clock, ms since the epoch. */
  publishedMs: number;
}

/** What "now" is: the newest time of the brokers' clock that was seen, and how long ago that was by our own. */
export interface Now {
  newestMs: number;
  sinceMs: number;
}

/** A state may come so much later than it said, ms. */
const toleranceMs = 2_000;
/** A process that is silent for this long is not shown any more, ms, or for this many of its intervals. */
const longestSilenceMs = 60_000;
const longestSilentIntervals = 40;
const shownHandoffs = 50;

/** Puts together what processes say of themselves. One that says nothing, or nothing that holds, hides no other. */
export function viewOf(entries: Iterable<Entry>, now: Now): FleetView {
  const instances = [...entries]
    .filter(({ state }) => state.status !== 'GONE')
    .map(entry => instanceOf(entry, now))
    .filter(({ ageMs, intervalMs }) => ageMs < Math.max(longestSilenceMs, longestSilentIntervals * intervalMs))
    .sort((a, b) => a.instance.localeCompare(b.instance, 'en', { numeric: true }));
  const gateways = instances.filter(({ gateway }) => gateway !== null);
  const count = gateways.reduce((most, { gateway }) => Math.max(most, gateway?.partitionCount ?? 0), 0);
  const partitions = Array.from({ length: count }, (_, number) => partitionOf(number, gateways));
  return { instances, partitions, handoffs: handoffsOf(gateways), totals: totalsOf(instances, partitions) };
}

function instanceOf({ state, publishedMs }: Entry, { newestMs, sinceMs }: Now): Instance {
  const ageMs = Math.max(0, newestMs - publishedMs + sinceMs);
  return { ...state, ageMs, isSilent: ageMs > 2 * state.intervalMs + toleranceMs };
}

interface Claim {
  instance: Instance;
  partition: PartitionState;
}

const rank = { OWNED: 3, CLAIMING: 2, HANDING_OVER: 1, FOREIGN: 0 } as const;
const names = { OWNED: 'owned', CLAIMING: 'claiming', HANDING_OVER: 'handing over' } as const;

function partitionOf(number: number, gateways: readonly Instance[]): PartitionRow {
  const claims = gateways.flatMap(instance => {
    const partition = instance.gateway?.partitions.find(one => one.number === number);
    return partition === undefined ? [] : [{ instance, partition }];
  });
  const cells = new Map(
    claims.map(({ instance, partition }) => {
      const { state: tenure, sessions } = partition;
      return [instance.instance, { tenure, sessions, isSilent: instance.isSilent }];
    }),
  );
  const best = claims.filter(({ partition }) => partition.state !== 'FOREIGN').sort(byRank)[0];
  if (best === undefined) {
    return { number, owner: undefined, state: 'no owner', ...unknown, ageMs: null, cells };
  }
  const { instance, partition } = best;
  const { ageMs, isSilent } = instance;
  const { epoch, lagRecords, lagSeconds, state } = partition;
  const base = { number, owner: instance.instance, ageMs, cells };
  if (isSilent) return { ...base, state: 'silent', ...unknown, epoch };
  const sessions = claims.reduce((sum, claim) => sum + (claim.instance.isSilent ? 0 : claim.partition.sessions), 0);
  return { ...base, state: state === 'FOREIGN' ? 'no owner' : names[state], epoch, sessions, lagRecords, lagSeconds };
}

const unknown = { epoch: null, sessions: null, lagRecords: null, lagSeconds: null };

/** Who is heard goes first, then who has come furthest, then the newest epoch: one of two owners has not heard yet that it is none. */
function byRank(a: Claim, b: Claim): number {
  const [first, second] = [orderOf(a), orderOf(b)];
  const index = first.findIndex((value, at) => value !== second[at]);
  return (second[index] ?? 0) - (first[index] ?? 0);
}

function orderOf({ instance, partition }: Claim): readonly number[] {
  return [instance.isSilent ? 0 : 1, rank[partition.state], partition.epoch ?? -1, -instance.ageMs];
}

/** The newest handoffs of all gateways, the newest first. */
function handoffsOf(gateways: readonly Instance[]): HandoffRow[] {
  const all = gateways.flatMap(({ instance, gateway }) =>
    (gateway?.handoffs ?? []).map(({ partition, epoch, at, seconds }) => {
      const key = `${partition}/${epoch}/${at}/${instance}`;
      return { key, partition, to: instance, from: undefined, epoch, seconds, atMs: Date.parse(at) };
    }),
  );
  all.sort((a, b) => a.atMs - b.atMs);
  const owners = new Map<number, string>();
  const rows = all.map((row): HandoffRow => {
    const from = owners.get(row.partition);
    owners.set(row.partition, row.to);
    return { ...row, from };
  });
  return rows.reverse().slice(0, shownHandoffs);
}

function totalsOf(instances: readonly Instance[], partitions: readonly PartitionRow[]): Totals {
  const heard = instances.filter(({ isSilent }) => !isSilent);
  const gateways = heard.flatMap(({ gateway }) => gateway ?? []);
  const handlers = heard.flatMap(({ commandHandler }) => commandHandler ?? []);
  return {
    gateways: instances.filter(({ service }) => service === 'gateway').length,
    readyGateways: heard.filter(({ service, status }) => service === 'gateway' && status === 'READY').length,
    partitions: partitions.length,
    owned: partitions.filter(({ state }) => state === 'owned').length,
    sessions: sum(gateways.map(({ connections }) => connections)),
    deliveredPerSecond: sum(gateways.map(one => one.deliveredPerSecond)),
    commandsPerSecond: sum(handlers.map(one => one.commandsPerSecond)),
    lagRecords: sum(partitions.map(({ lagRecords }) => lagRecords)),
    lagSeconds: most(partitions.map(({ lagSeconds }) => lagSeconds)),
  };
}

/** null as soon as one is, and where there are none: what is not known is not nothing. */
function sum(values: readonly (number | null)[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => (a === null || b === null ? null : a + b));
}

function most(values: readonly (number | null)[]): number | null {
  return values.length === 0 ? null : values.reduce((a, b) => (a === null || b === null ? null : Math.max(a, b)));
}
