import { type Outbox, openOutbox } from '../../../services/command-handler/outbox.ts';
import { publicationOf, type Tenures, tenuresOf, type Written } from '../../../services/command-handler/publication.ts';
import type { OutboxRow } from '../../../services/command-handler/types.ts';

/**
 * A small world around the real outbox rule: a database with key locks, handlers that crash, stall and lose
 * partitions without knowing, producers whose requests outlive them, notifications that get lost, and a log.
 */
export type Step =
  | { do: 'write'; handler: number; caller: number; others: number[]; again: number | undefined }
  | { do: 'repeat'; handler: number; caller: number; nth: number }
  | { do: SimpleStep; handler: number }
  | { do: 'move'; handler: number; partition: number }
  | { do: 'crash'; handler: number; surviving: number }
  | { do: 'ghost'; nth: number };

export type SimpleStep =
  | 'respond'
  | 'append'
  | 'acknowledge'
  | 'delete'
  | 'forgetDelete'
  | 'poll'
  | 'notice'
  | 'missNotice'
  | 'deliver'
  | 'learnLosses'
  | 'fail';

/** Deliberately broken variants of the rule. The model must catch each. */
export type Mutant =
  | "skips the rest of a key's rows"
  | 'publishes rows of foreign partitions'
  | 'selects by an id watermark'
  | 'deletes before the acknowledgement'
  | 'trusts memory across tenures'
  | 'vouches although rows were cut off'
  | 'publishes a repeated verdict around the outbox'
  | 'goes on in a lane behind a failed record';

export const handlerCount = 3;
export const partitionCount = 2;
export const keyCount = 4;
const restLimit = 3;
const selectLimit = 4;
const topics = ['feedback', 'events'];

interface Stored {
  row: OutboxRow;
  /** Order of insertion; only a mutant looks at it. */
  id: number;
}

type Lane = OutboxRow[];

interface Handler {
  outbox: Outbox;
  claims: Map<number, number>;
  responses: Written[];
  lanes: Map<string, Lane>;
  appended: OutboxRow[];
  notices: number[];
  selected: OutboxRow[][];
  behind: Set<number>;
  watermark: number;
}

export interface World {
  step(step: Step): void;
  /** Every fault stops; handlers restart, poll and publish until nothing changes. Returns what is wrong, or nothing. */
  settle(): string | undefined;
}

const keyName = (key: number): string => `key-${key}`;
const partitionOfKey = (key: string): number => Number(key.slice(4)) % partitionCount;

export function openWorld(mutant?: Mutant): World {
  const epochs = new Map<number, number>();
  const sequences = new Map<string, number>();
  let stored: Stored[] = [];
  let ids = 0;
  const committed: OutboxRow[] = [];
  const repeats: OutboxRow[] = [];
  const log: OutboxRow[] = [];
  const ghosts: Lane[] = [];
  const handlers = Array.from({ length: handlerCount }, openHandler);
  for (let partition = 0; partition < partitionCount; partition++) claim(handlers[0] as Handler, partition);

  const simple: Record<SimpleStep, (handler: Handler) => void> = {
    respond,
    append,
    learnLosses,
    fail,
    acknowledge(handler) {
      const row = handler.appended.shift();
      if (row !== undefined) handler.outbox.acknowledge(row);
    },
    delete: handler => remove(handler, true),
    forgetDelete: handler => remove(handler, false),
    poll: handler => select(handler, [...handler.claims.keys()]),
    notice(handler) {
      const partition = handler.notices.shift();
      if (partition !== undefined) select(handler, [partition]);
    },
    missNotice(handler) {
      handler.notices.shift();
    },
    deliver(handler) {
      const rows = handler.selected.shift();
      if (rows !== undefined) produce(handler, handler.outbox.learn(rows));
    },
  };
  return { step, settle };

  function openHandler(): Handler {
    return {
      outbox: openOutbox(),
      claims: new Map(),
      responses: [],
      lanes: new Map(),
      appended: [],
      notices: [],
      selected: [],
      behind: new Set(),
      watermark: 0,
    };
  }

  function step(step: Step): void {
    if (step.do === 'ghost') appendGhost(step.nth);
    else if (step.do === 'crash') crash(step.handler, step.surviving);
    else perform(step, handlers[step.handler] as Handler);
  }

  function perform(step: Exclude<Step, { do: 'ghost' | 'crash' }>, handler: Handler): void {
    if (step.do === 'write') write(handler, keyName(step.caller), step.others.map(keyName), step.again);
    else if (step.do === 'repeat') repeat(handler, keyName(step.caller), step.nth);
    else if (step.do === 'move') claim(handler, step.partition);
    else simple[step.do](handler);
  }

  function claim(handler: Handler, partition: number): void {
    const epoch = (epochs.get(partition) ?? 0) + 1;
    epochs.set(partition, epoch);
    handler.claims.set(partition, epoch);
    handler.outbox.gain(partition);
    handler.watermark = 0;
    select(handler, [partition]);
  }

  /** The transaction's first statement: false, and the partition is let go, where somebody else has claimed it. */
  function fenced(handler: Handler, partition: number): boolean {
    const claimed = handler.claims.get(partition);
    if (claimed !== undefined && claimed === epochs.get(partition)) return true;
    handler.claims.delete(partition);
    handler.outbox.lose(partition);
    return false;
  }

  function write(handler: Handler, caller: string, others: readonly string[], again: number | undefined): void {
    if (!fenced(handler, partitionOfKey(caller))) return;
    const earlier = again === undefined ? undefined : verdictOf(caller, again);
    const own = [insert(caller, 'feedback'), ...others.map(key => insert(key, 'events'))];
    if (earlier !== undefined) own.push(insertAgain(earlier));
    commit(handler, own);
  }

  function verdictOf(caller: string, nth: number): OutboxRow | undefined {
    const verdicts = committed.filter(row => row.key === caller && row.topic === 'feedback');
    return verdicts[nth % Math.max(1, verdicts.length)];
  }

  function insert(key: string, topic: string): OutboxRow {
    const sequence = (sequences.get(key) ?? 0) + 1;
    sequences.set(key, sequence);
    const row = rowOf(key, sequence, 0, topic);
    stored.push({ row, id: ++ids });
    committed.push(row);
    return row;
  }

  function insertAgain(verdict: OutboxRow): OutboxRow {
    const row = rowOf(verdict.key, verdict.sequence, repeats.length + 1, 'feedback');
    repeats.push(row);
    stored = stored.filter(other => other.row.key !== row.key || other.row.sequence !== row.sequence);
    stored.push({ row, id: ++ids });
    return row;
  }

  /** A verdict that was asked for again goes the way of every other row, under its old sequence. */
  function repeat(handler: Handler, caller: string, nth: number): void {
    if (!fenced(handler, partitionOfKey(caller))) return;
    const verdict = verdictOf(caller, nth);
    if (verdict === undefined) return;
    if (mutant === 'publishes a repeated verdict around the outbox') produce(handler, [verdict]);
    else commit(handler, [insertAgain(verdict)]);
  }

  function commit(handler: Handler, own: OutboxRow[]): void {
    const partitions = new Set(own.map(row => row.partition));
    const tenures: Tenures = tenuresOf(handler.outbox, partitions);
    const rest = inOrder(stored.map(({ row }) => row)).filter(
      row =>
        tenures.get(row.partition) !== undefined &&
        own.some(({ key }) => key === row.key) &&
        row.sequence > handler.outbox.highest(row) &&
        !own.includes(row),
    );
    handler.responses.push({
      own,
      rest: mutant === "skips the rest of a key's rows" ? [] : rest.slice(0, restLimit),
      restComplete: rest.length <= restLimit || mutant === 'vouches although rows were cut off',
      tenures,
    });
    notify([...partitions].filter(partition => tenures.get(partition) === undefined));
  }

  function notify(partitions: readonly number[]): void {
    for (const handler of handlers) handler.notices.push(...partitions);
  }

  function respond(handler: Handler): void {
    const written = handler.responses.shift();
    if (written === undefined) return;
    if (mutant === 'publishes rows of foreign partitions') {
      produce(
        handler,
        written.own.filter(row => handler.outbox.tenure(row.partition) === undefined),
      );
    }
    const tenures =
      mutant === 'trusts memory across tenures' ? tenuresOf(handler.outbox, written.tenures.keys()) : written.tenures;
    const publication = publicationOf(handler.outbox, { ...written, tenures });
    produce(handler, publication.rows);
    for (const partition of publication.behind) handler.behind.add(partition);
    notify([...publication.foreign]);
    if (handler.behind.size > 0) {
      select(handler, [...handler.behind]);
      handler.behind.clear();
    }
  }

  function produce(handler: Handler, rows: readonly OutboxRow[]): void {
    for (const row of rows) {
      const at = `${row.topic}/${row.partition}`;
      const lane = handler.lanes.get(at) ?? [];
      lane.push(row);
      handler.lanes.set(at, lane);
      if (mutant === 'deletes before the acknowledgement') {
        stored = stored.filter(other => other.row !== row);
      }
    }
  }

  function append(handler: Handler): void {
    for (const lane of handler.lanes.values()) {
      const row = lane.shift();
      if (row === undefined) continue;
      log.push(row);
      handler.appended.push(row);
      return;
    }
  }

  /** A lane gives up a record, and with it all that waits behind: the partition's tenure begins anew. */
  function fail(handler: Handler): void {
    for (const lane of handler.lanes.values()) {
      const [row] = lane;
      if (row === undefined) continue;
      const given = mutant === 'goes on in a lane behind a failed record' ? lane.splice(0, 1) : lane.splice(0);
      for (const each of given) handler.outbox.abandon(each);
      if (handler.outbox.tenure(row.partition) === undefined) return;
      handler.outbox.gain(row.partition);
      select(handler, [row.partition]);
      return;
    }
  }

  function remove(handler: Handler, outcomeKnown: boolean): void {
    const rows = handler.outbox.takeAcknowledged(2);
    const gone = new Set(rows.map(idOf));
    stored = stored.filter(({ row }) => !gone.has(idOf(row)));
    if (outcomeKnown) handler.outbox.deleted(rows);
    else handler.outbox.keep(rows);
  }

  function select(handler: Handler, partitions: readonly number[]): void {
    const wanted = stored.filter(
      ({ row, id }) =>
        partitions.includes(row.partition) && (mutant !== 'selects by an id watermark' || id > handler.watermark),
    );
    if (mutant === 'selects by an id watermark')
      handler.watermark = Math.max(handler.watermark, ...wanted.map(({ id }) => id));
    handler.selected.push(inOrder(wanted.map(({ row }) => row)).slice(0, selectLimit));
  }

  function learnLosses(handler: Handler): void {
    for (const partition of [...handler.claims.keys()]) fenced(handler, partition);
  }

  /** Memory is gone; requests that were under way may still arrive, in their order. */
  function crash(index: number, surviving: number): void {
    const handler = handlers[index] as Handler;
    for (const lane of handler.lanes.values()) if (lane.length > 0) ghosts.push(lane.slice(0, surviving));
    handlers[index] = openHandler();
  }

  function appendGhost(nth: number): void {
    const lane = ghosts[nth % Math.max(1, ghosts.length)];
    const row = lane?.shift();
    if (row !== undefined) log.push(row);
  }

  function settle(): string | undefined {
    for (let partition = 0; partition < partitionCount; partition++) {
      const owner = handlers.find(handler => handler.claims.get(partition) === epochs.get(partition));
      if (owner === undefined) claim(handlers[0] as Handler, partition);
    }
    for (let round = 0; round < 200; round++) {
      for (const handler of handlers) {
        learnLosses(handler);
        while (handler.responses.length > 0) respond(handler);
        handler.notices = [];
        select(handler, [...handler.claims.keys()]);
        while (handler.selected.length > 0)
          produce(handler, handler.outbox.learn(handler.selected.shift() as OutboxRow[]));
        while ([...handler.lanes.values()].some(lane => lane.length > 0)) append(handler);
        for (const row of handler.appended.splice(0)) handler.outbox.acknowledge(row);
        remove(handler, true);
      }
    }
    return verdict();
  }

  function verdict(): string | undefined {
    if (stored.length > 0) return `row ${idOf(stored[0]?.row as OutboxRow)} was never published and deleted`;
    for (const topic of topics) {
      for (let key = 0; key < keyCount; key++) {
        const of = (row: OutboxRow): boolean => row.topic === topic && row.key === keyName(key);
        const expected = committed.filter(of).map(row => row.sequence);
        const first = [...new Set(log.filter(of).map(row => row.sequence))];
        if (first.join() !== expected.join()) return `${topic} of ${keyName(key)}: ${first} instead of ${expected}`;
        let passed = 0;
        const observed = log.filter(of).flatMap(({ sequence }) => (sequence > passed ? [(passed = sequence)] : []));
        if (observed.join() !== expected.join())
          return `${topic} of ${keyName(key)}: observed ${observed}, not ${expected}`;
      }
    }
    for (const row of repeats) {
      const again = repeats.some(
        other => other.key === row.key && other.sequence === row.sequence && other.repetition > row.repetition,
      );
      if (!again && !log.includes(row)) return `repeated verdict ${idOf(row)} was never published`;
    }
    return undefined;
  }
}

function rowOf(key: string, sequence: number, repetition: number, topic: string): OutboxRow {
  return {
    key,
    sequence,
    repetition,
    partition: partitionOfKey(key),
    topic,
    eventId: `${key}/${sequence}`,
    commandId: undefined,
    traceparent: undefined,
    timeMs: 0,
    value: '{}',
    appendedMs: undefined,
  };
}

function inOrder(rows: readonly OutboxRow[]): OutboxRow[] {
  return [...rows].sort((a, b) => (a.key === b.key ? a.sequence - b.sequence : a.key < b.key ? -1 : 1));
}

function idOf(row: { key: string; sequence: number; repetition: number }): string {
  return `${row.key}/${row.sequence}/${row.repetition}`;
}
