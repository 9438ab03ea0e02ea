import type { Append } from './appends.ts';
import type { Command } from './monitor.ts';

/** A script of the replay buffer that did what it must not do. */
export interface WriteFault {
  window: string;
  what: string;
  /** By the clock of Redis, ms. */
  atMs: number;
  /** When that was written which the script did not mind: it was there since, unless Redis has evicted it. */
  sinceMs: number;
}

export interface WriteCounts {
  claim: number;
  open: number;
  append: number;
  /** Those of the calls that have written nothing: STALE, HOLE, or refused by Redis. */
  refused: number;
}

export interface WriteJudge {
  counts: Readonly<WriteCounts>;
  command(command: Command): void;
  /** Nothing is known of any window any more. */
  forget(): void;
}

interface Fence {
  generation: number;
  counter: number;
}

/** What is known to be stored; undefined where it isn't known. */
interface WindowState {
  fence: Fence | undefined;
  id: string | undefined;
  tail: string | undefined;
  atMs: number;
}

type Task = 'claim' | 'open' | 'append';

interface Call {
  task: Task;
  window: string;
  /** Of the window that an append is for. */
  id: string;
  /** Why it must not write anything. */
  forbidden: string | undefined;
  wrote: boolean;
  /** It has taken the window's tail away, and not yet given it a new one. */
  halfDone: boolean;
  /** What an append says it is, as far as it has got. */
  append: Append;
  told: boolean;
  atMs: number;
  sinceMs: number;
}

/** Of the commands that the scripts use, those that change something. */
const writes = new Set([
  'hset',
  'hdel',
  'xadd',
  'xtrim',
  'zadd',
  'zrem',
  'setrange',
  'set',
  'pexpire',
  'unlink',
  'del',
]);
const destroys = new Set(['del', 'unlink', 'restore', 'rename']);

/**
 * Watches the scripts of lib/replay/buffer from outside, by the commands that they call: who was fenced out must change
 * nothing, nor must an append to another window or behind another tail than the stored ones; a fence never goes back; and
 * none ends half-way. What is stored is known from what was written, so that nobody need be believed.
 * @param appended is told of each append that was allowed and done.
 */
export function openWriteJudge(found: (fault: WriteFault) => void, appended: (append: Append) => void): WriteJudge {
  const windows = new Map<string, WindowState>();
  const counts = { claim: 0, open: 0, append: 0, refused: 0 };
  let call: Call | undefined;
  return {
    counts,
    command({ atMs, fromScript, args }) {
      const name = (args[0] ?? '').toLowerCase();
      if (fromScript) {
        if (call !== undefined && writes.has(name)) write(call, args, atMs);
        return;
      }
      if (call !== undefined) end(call);
      call = name.startsWith('eval') ? begin(args, atMs) : undefined;
      if (name === 'flushall' || name === 'flushdb') windows.clear();
      if (destroys.has(name)) for (const key of args.slice(1)) windows.delete(key);
    },
    forget() {
      windows.clear();
      call = undefined;
    },
  };

  function begin(args: readonly string[], atMs: number): Call | undefined {
    const [, , keyCount, window = '', generation, counter, third = '', fourth = '', fifth] = args;
    const task = taskOf(args.length);
    if (task === undefined || keyCount !== '1' || !isWindow(window)) return undefined;
    counts[task]++;
    const fence = { generation: Number(generation), counter: Number(counter) };
    const state = windows.get(window);
    let forbidden: string | undefined;
    if (state?.fence !== undefined && isOlder(fence, state.fence) && !(task === 'claim' && third === '1')) {
      forbidden = `under ${textOf(fence)}, fenced out by ${textOf(state.fence)}`;
    } else if (task === 'append' && state?.id !== undefined && state.tail !== undefined) {
      if (state.id !== third || state.tail !== fourth) {
        forbidden = `to ${third} behind ${fourth}, where ${state.id || 'no window'} is, its tail ${state.tail || 'lost'}`;
      }
    }
    const nothing = { wrote: false, halfDone: false, told: false };
    const append = { window, after: Number(fourth), tail: Number(fifth), records: 0, sum: 0 };
    return { task, window, id: third, forbidden, append, ...nothing, atMs, sinceMs: state?.atMs ?? atMs };
  }

  function write(current: Call, args: readonly string[], atMs: number): void {
    current.wrote = true;
    if (current.forbidden !== undefined) tell(current, current.forbidden);
    if (args[0]?.toLowerCase() === 'xadd') {
      // XADD stream MAXLEN ~ n id …: the id is the offset plus one
      current.append.records++;
      current.append.sum += Number.parseInt(args[5] ?? '', 10) - 1;
    }
    if (args[0]?.toLowerCase() !== 'hset' || args[1] !== current.window) return;
    const fields = new Map<string, string>();
    for (let at = 2; at + 1 < args.length; at += 2) fields.set(args[at] ?? '', args[at + 1] ?? '');
    const state = windows.get(current.window) ?? { fence: undefined, id: undefined, tail: undefined, atMs };
    windows.set(current.window, state);
    if (fields.has('generation')) {
      const fence = { generation: Number(fields.get('generation')), counter: Number(fields.get('counter')) };
      if (state.fence !== undefined && isOlder(fence, state.fence)) {
        tell(current, `takes the fence back from ${textOf(state.fence)} to ${textOf(fence)}`);
      }
      state.fence = fence;
    }
    const tail = fields.get('tail');
    if (fields.has('id')) state.id = fields.get('id');
    if (tail !== undefined) {
      state.tail = tail;
      if (current.task === 'append') {
        current.halfDone = tail === '';
        if (tail !== '') state.id = current.id;
      }
    }
    state.atMs = atMs;
  }

  function end(current: Call): void {
    if (!current.wrote) counts.refused++;
    if (current.halfDone) tell(current, 'has ended half-way');
    else if (current.task === 'append' && current.wrote && !current.told) appended(current.append);
  }

  /** Once a call. */
  function tell(current: Call, what: string): void {
    if (current.told) return;
    current.told = true;
    const { window, task, atMs, sinceMs } = current;
    found({ window, what: `${task} ${what}`, atMs, sinceMs });
  }
}

/** By the number of words of a call, as the scripts' headers say; a read is none of them. */
function taskOf(words: number): Task | undefined {
  const [name, sha, keyCount, key] = [1, 1, 1, 1];
  const given = words - (name + sha + keyCount + key);
  if (given === 3) return 'claim';
  if (given === 6) return 'open';
  return given >= 14 ? 'append' : undefined;
}

function isWindow(key: string): boolean {
  return /^penstock:\{.+\/\d+\}:/.test(key) && !key.endsWith('}:owner');
}

function isOlder(fence: Fence, than: Fence): boolean {
  return fence.generation < than.generation || (fence.generation === than.generation && fence.counter < than.counter);
}

function textOf({ generation, counter }: Fence): string {
  return `${generation}.${counter}`;
}
