/** A replay buffer without Redis: what the scripts do, as plain data, and everything that can happen to it. */
import type { TopicPartition } from '../../../../lib/kafka/types.ts';
import { packRecord } from '../../../../lib/replay/buffer/entry.ts';
import {
  type Append,
  type AppendAnswer,
  type BufferRead,
  type BufferStore,
  type ClaimAnswer,
  type Fence,
  isNewer,
  type OpenAnswer,
  type RawAnswer,
  type RawEntry,
} from '../../../../lib/replay/buffer/types.ts';
import type { Point } from '../../../../lib/replay/log-record.ts';

/** What goes wrong in and around Redis. */
export interface FaultyStore extends BufferStore {
  flush(): Promise<void>;
  /** A key's stream expires or is evicted. */
  expire(key: string): Promise<void>;
  evict(part: 'last' | 'window' | 'times'): Promise<void>;
  /** A replica catches up. */
  replicate(): Promise<void>;
  /** It becomes the master, with whatever it has. */
  failOver(): Promise<void>;
  /** The oldest records of a key go. */
  trim(key: string): Promise<void>;
  /** At the next append, everything before this offset counts as aged out. */
  age(from: number): void;
  /** Changes when anything is written. */
  fingerprint(): string;
}

/** What the scripts check and write, so that a test can break one thing. */
export interface ScriptRules {
  fences: boolean;
  appendsBeforeFence: boolean;
  checksTail: boolean;
  writesPrevious: boolean;
  /** From where on a new window claims to have everything. */
  claimsFrom(from: number): number;
}

export const scriptRules: ScriptRules = {
  fences: true,
  appendsBeforeFence: false,
  checksTail: true,
  writesPrevious: true,
  claimsFrom: from => from,
};

interface State {
  fence: Fence | undefined;
  id: string;
  tail: number | undefined;
  from: number;
  mark: Point | undefined;
  /** By window id, then key. An evicted set is missing. */
  last: Map<string, Map<string, number>>;
  streams: Map<string, RawEntry[]>;
  times: Map<string, number>;
}

/** Records that one answer holds. */
export const simulatedPage = 3;

export class SimulatedStore implements FaultyStore {
  #state: State = empty();
  #replica: State = empty();
  #retainFrom = 0;
  readonly #rules: ScriptRules;

  constructor(rules: ScriptRules = scriptRules) {
    this.#rules = rules;
  }

  async claim(_at: TopicPartition, fence: Fence, force: boolean): Promise<ClaimAnswer> {
    const state = this.#state;
    let effective = fence;
    let { id } = state;
    if (this.#rules.fences && state.fence !== undefined && isNewer(state.fence, fence)) {
      if (!force) return { answer: 'STALE', holder: state.fence };
      effective = { generation: state.fence.generation, counter: state.fence.counter + 1 };
      id = '';
    }
    if (state.tail === undefined || !state.last.has(id)) id = '';
    state.fence = effective;
    state.id = id;
    const { tail, mark } = state;
    if (id === '' || tail === undefined) {
      state.tail = undefined;
      return { answer: 'OK', fence: effective, window: undefined };
    }
    return { answer: 'OK', fence: effective, window: { id, tail, mark } };
  }

  async open(_at: TopicPartition, fence: Fence, id: string | undefined, from: number): Promise<OpenAnswer> {
    const state = this.#state;
    if (this.#rules.fences && state.fence !== undefined && isNewer(state.fence, fence)) {
      return { answer: 'STALE', holder: state.fence };
    }
    // The streams of the old window may stay: a script removes a bounded number of them.
    if (id !== state.id) state.last.delete(state.id);
    Object.assign(state, { fence, id: id ?? '', from: this.#rules.claimsFrom(from), mark: undefined });
    state.tail = id === undefined ? undefined : from - 1;
    if (id !== undefined && !state.last.has(id)) state.last.set(id, new Map());
    return { answer: 'OK' };
  }

  async append(_at: TopicPartition, append: Append): Promise<AppendAnswer> {
    const state = this.#state;
    const { fence, id, expectedTail, newTail, records, mark } = append;
    const isStale = this.#rules.fences && state.fence !== undefined && isNewer(state.fence, fence);
    if (isStale && !this.#rules.appendsBeforeFence) return { answer: 'STALE', holder: state.fence ?? fence };
    const last = state.last.get(id);
    if (state.id !== id || last === undefined) return { answer: 'HOLE' };
    if (this.#rules.checksTail && state.tail !== expectedTail) return { answer: 'HOLE' };
    for (const { key, record } of records) {
      state.times.set(`${id}:${record.offset}`, record.timestampMs);
      if (key === undefined) continue;
      const name = `${id}:${key}`;
      const previous = last.get(key) ?? state.from - 1;
      const stream = state.streams.get(name) ?? [];
      const written = this.#rules.writesPrevious ? previous : -1;
      stream.push({ offset: record.offset, previous: written, packed: packRecord(record) });
      state.streams.set(name, stream);
      last.set(key, record.offset);
    }
    if (isStale) return { answer: 'STALE', holder: state.fence ?? fence };
    state.fence = fence;
    state.tail = newTail;
    state.from = Math.max(state.from, Math.min(this.#retainFrom, newTail + 1));
    for (const [key, offset] of last) {
      if (offset >= state.from) continue;
      last.delete(key);
      state.streams.delete(`${id}:${key}`);
    }
    if (mark !== undefined) state.mark = mark;
    return { answer: 'OK' };
  }

  async read(_at: TopicPartition, { key, after }: BufferRead): Promise<RawAnswer | undefined> {
    const { id, tail, from, last, streams, times } = this.#state;
    const lastOf = last.get(id);
    if (id === '' || tail === undefined || lastOf === undefined) return undefined;
    const behind = (streams.get(`${id}:${key}`) ?? []).filter(({ offset }) => offset > after);
    return {
      tail,
      from,
      last: lastOf.get(key),
      timestampMs: times.get(`${id}:${after}`),
      entries: behind.slice(0, simulatedPage),
    };
  }

  async flush(): Promise<void> {
    this.#state = empty();
  }

  async expire(key: string): Promise<void> {
    this.#state.streams.delete(`${this.#state.id}:${key}`);
  }

  async trim(key: string): Promise<void> {
    this.#state.streams.get(`${this.#state.id}:${key}`)?.shift();
  }

  async evict(part: 'last' | 'window' | 'times'): Promise<void> {
    const state = this.#state;
    if (part === 'last') state.last.delete(state.id);
    else if (part === 'times') state.times.clear();
    else Object.assign(state, { fence: undefined, id: '', tail: undefined, mark: undefined });
  }

  async replicate(): Promise<void> {
    this.#replica = copy(this.#state);
  }

  async failOver(): Promise<void> {
    this.#state = copy(this.#replica);
  }

  age(from: number): void {
    this.#retainFrom = from;
  }

  fingerprint(): string {
    const { fence, id, tail, from, last, streams } = this.#state;
    const sizes = [...streams].map(([name, entries]) => `${name}=${entries.map(({ offset }) => offset)}`);
    return JSON.stringify([fence, id, tail, from, [...(last.get(id) ?? [])], sizes]);
  }
}

function empty(): State {
  return {
    fence: undefined,
    id: '',
    tail: undefined,
    from: 0,
    mark: undefined,
    last: new Map(),
    streams: new Map(),
    times: new Map(),
  };
}

function copy(state: State): State {
  return {
    ...state,
    last: new Map([...state.last].map(([id, offsets]) => [id, new Map(offsets)])),
    streams: new Map([...state.streams].map(([name, entries]) => [name, [...entries]])),
    times: new Map(state.times),
  };
}
