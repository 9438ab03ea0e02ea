import { setTimeout as sleep } from 'node:timers/promises';
import { partitionOf } from '../../lib/kafka/index.ts';
import { until } from '../../test/support/until.ts';
import type { Window } from './measure.ts';
import { sequenceOf } from './record-id.ts';
import type { Fault, System } from './system.ts';

/** What happened in one window: which keys changed hands. */
export interface ObservedWindow extends Window {
  moved: ReadonlySet<string>;
}

/**
 * What came to one client, in its order: each record's sequence number, and when. Lists of numbers, and no object for each:
 * collecting the bench's garbage took up to 122 ms, a gap that no server had made.
 */
export interface Deliveries {
  sequences: number[];
  atMs: number[];
}

export interface Observation {
  system: string;
  windows: readonly ObservedWindow[];
  /** By user. */
  deliveries: ReadonlyMap<string, Deliveries>;
}

const settleMs = 1_000;
/** Longer than Penstock's handover window, in which clients are told to move. */
const aftermathMs = 3_000;
const recoverWithinMs = 45_000;
const loginsAtOnce = 4;
/** Short beside the time that any owner is one, and little work beside what is measured. */
const lookEveryMs = 250;

/** Opens the clients, then does the faults in their order, `rounds` times and waits after each until every client is served again. */
export async function observe(
  system: System,
  users: readonly string[],
  faults: readonly Fault[],
  rounds: number,
): Promise<Observation> {
  const deliveries = new Map(users.map((user): [string, Deliveries] => [user, { sequences: [], atMs: [] }]));
  const waiting = [...users];
  const clients: { close(): Promise<void> }[] = [];
  const open = async () => {
    for (let user = waiting.pop(); user !== undefined; user = waiting.pop()) {
      const got = deliveries.get(user);
      const onRecord = (id: string) => {
        got?.sequences.push(sequenceOf(id));
        got?.atMs.push(Date.now());
      };
      clients.push(await system.openClient(user, onRecord));
    }
  };
  await Promise.all(Array.from({ length: loginsAtOnce }, open));
  const windows: ObservedWindow[] = [];
  for (let round = 0; round < rounds; round++) {
    for (const fault of faults) windows.push(await hurt(system, fault, users, deliveries));
  }
  await Promise.all(clients.map(client => client.close()));
  return { system: system.name, windows, deliveries };
}

async function hurt(
  system: System,
  fault: Fault,
  users: readonly string[],
  deliveries: Observation['deliveries'],
): Promise<ObservedWindow> {
  await sleep(settleMs);
  const partitions = (await system.owners()).length;
  const watch = watchOwners(system);
  const fromMs = Date.now();
  await system.faults[fault]();
  const doneMs = Date.now();
  // A client is back when something has come after the fault was over; one that never is shows as a gap to the window's end.
  const isBack = (user: string) => (deliveries.get(user)?.atMs.at(-1) ?? 0) > doneMs + aftermathMs;
  await until('every client to be served again', () => users.every(isBack), recoverWithinMs).catch(() => undefined);
  const away = users.filter(user => !isBack(user)).length;
  const toMs = Date.now();
  const movedPartitions = await watch.stop();
  const moved = new Set(users.filter(user => movedPartitions.has(partitionOf(user, partitions))));
  process.stderr.write(
    `${system.name}: ${fault}, ${toMs - fromMs} ms, ${moved.size} of ${users.length} keys moved, ${away} clients did not come back\n`,
  );
  return { fault, fromMs, toMs, moved };
}

/** Partitions whose owner was another at some time than it was at first. */
function watchOwners(system: System): { stop(): Promise<ReadonlySet<number>> } {
  const moved = new Set<number>();
  let watching = true;
  let first: readonly string[] | undefined;
  const look = async () => {
    const now = await system.owners();
    first ??= now;
    for (const [partition, owner] of now.entries()) if (owner !== first[partition]) moved.add(partition);
  };
  const loop = async () => {
    while (watching) {
      await look();
      await sleep(lookEveryMs);
    }
  };
  const done = loop();
  return {
    async stop() {
      watching = false;
      await done;
      await look();
      return moved;
    },
  };
}
