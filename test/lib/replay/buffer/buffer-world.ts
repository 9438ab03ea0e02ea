/**
 * Gateways, a log and a replay buffer, without clocks: each gateway reads the log, owns the partition or believes so,
 * and keeps the buffer by the decisions of the real thing. Requests to the buffer are lost, delayed, and done although
 * nobody waits any more. Every step is chosen by the test.
 */
import { unpackRecord } from '../../../../lib/replay/buffer/entry.ts';
import { type ProofRules, prove } from '../../../../lib/replay/buffer/proof.ts';
import { type Fence, isNewer } from '../../../../lib/replay/buffer/types.ts';
import {
  beginUpkeep,
  type LogView,
  logLost,
  nextTask,
  type Outcome,
  renew,
  settle,
  type Task,
  type Upkeep,
  type UpkeepRules,
} from '../../../../lib/replay/buffer/upkeep.ts';
import { type LogRecord, logRecord, pointOf } from '../../../../lib/replay/log-record.ts';
import type { FaultyStore } from './simulated-store.ts';

export interface BufferWorldOptions {
  store: FaultyStore;
  upkeep: UpkeepRules;
  proof: ProofRules;
  /** Records that one answer of the store holds. */
  page: number;
  topic: string;
  /** Names windows. */
  newId(): string;
}

interface Life {
  records: LogRecord[];
  end: number;
}

interface Request {
  task: Task;
  fence: Fence;
  run(): Promise<Outcome>;
  outcome: Outcome | undefined;
}

interface Gateway {
  name: number;
  /** Which of the logs its tail reads. */
  life: Life;
  reading: boolean;
  next: number;
  ring: LogRecord[];
  ringFrom: number;
  /** Number of the group's assignment that it knows: a new life of the group has members of its own. */
  assignment: number;
  upkeep: Upkeep | undefined;
  request: Request | undefined;
}

const maxFill = 6;
const batch = 3;
export const keys = ['a', 'b', 'c'] as const;

export class BufferWorld {
  readonly problems: string[] = [];
  /** Stretches that were proved and had records in them; that another tier had to answer. */
  readonly counts = { proved: 0, unknown: 0 };
  readonly #options: BufferWorldOptions;
  readonly #at;
  readonly #lives: Life[] = [{ records: [], end: 0 }];
  readonly #gateways: Gateway[];
  readonly #group = { owner: 0, generation: 0, assignment: 0, counter: 0 };
  readonly #ghosts: Request[] = [];
  /** The newest fence that the store has seen and not lost. */
  #highest: Fence | undefined;

  constructor(options: BufferWorldOptions) {
    this.#options = options;
    this.#at = { topic: options.topic, partition: 0 };
    this.#gateways = [0, 1, 2].map(name => ({
      ...{ name, life: this.#now, reading: true, next: 0, ring: [], ringFrom: 0, assignment: -1 },
      ...{ upkeep: undefined, request: undefined },
    }));
  }

  get #now(): Life {
    const life = this.#lives[this.#lives.length - 1];
    if (life === undefined) throw new Error('no log');
    return life;
  }

  /** Records before it are in the log that is there now. */
  get end(): number {
    return this.#now.end;
  }

  append(key: string | undefined, gap: number): void {
    const life = this.#now;
    const offset = life.end + gap;
    life.end = offset + 1;
    const timestampMs = this.#lives.length * 1_000_000 + offset;
    const bytes = key === undefined ? null : Buffer.from(key);
    life.records.push(logRecord({ ...this.#at, offset, timestampMs, key: bytes, value: null, headers: {} }));
  }

  /** The topic is deleted and made again. */
  recreate(): void {
    this.#lives.push({ records: [], end: 0 });
  }

  /** The group gives the partition to this gateway. `anew`: it was empty for long, and counts from one again. */
  assign(which: number, anew: boolean): void {
    const gateway = this.#gateway(which);
    this.#group.generation = anew ? 1 : this.#group.generation + 1;
    this.#group.owner = gateway.name;
    this.#group.assignment += 1;
  }

  /** The gateway hears of the assignment that counts now. */
  learn(which: number): void {
    const gateway = this.#gateway(which);
    const { owner, generation, assignment } = this.#group;
    if (owner !== gateway.name) {
      gateway.upkeep = undefined;
      this.#forsake(gateway);
      return;
    }
    if (gateway.upkeep !== undefined && gateway.assignment === assignment) return;
    gateway.assignment = assignment;
    this.#group.counter += 1;
    const fence = { generation, counter: this.#group.counter };
    if (gateway.upkeep === undefined) {
      this.notice(which);
      gateway.upkeep = beginUpkeep(fence);
    } else {
      const { fence: known } = gateway.upkeep;
      const raised = known.generation > generation ? { ...known, counter: known.counter + 1 } : fence;
      gateway.upkeep = renew(gateway.upkeep, raised);
    }
  }

  /** A gateway dies and comes back with nothing. */
  crash(which: number): void {
    const gateway = this.#gateway(which);
    this.#forsake(gateway);
    const { end } = this.#now;
    Object.assign(gateway, { upkeep: undefined, life: this.#now, reading: true, next: end, ring: [], ringFrom: end });
  }

  show(which: number, count: number): void {
    const gateway = this.#gateway(which);
    if (!gateway.reading) return;
    const shown = gateway.life.records.filter(({ record }) => record.offset >= gateway.next).slice(0, count);
    gateway.ring.push(...shown);
    gateway.next = (shown[shown.length - 1]?.record.offset ?? gateway.next - 1) + 1;
  }

  /** The ring's budget goes to others. */
  squeeze(which: number, count: number): void {
    const gateway = this.#gateway(which);
    const gone = gateway.ring.splice(0, count);
    const last = gone[gone.length - 1];
    if (last !== undefined) gateway.ringFrom = last.record.offset + 1;
  }

  /** A live tail finds out that its log is gone. */
  notice(which: number): void {
    const gateway = this.#gateway(which);
    if (gateway.life === this.#now) return;
    Object.assign(gateway, { reading: false, ring: [], ringFrom: gateway.next });
    if (gateway.upkeep !== undefined) gateway.upkeep = logLost(gateway.upkeep);
  }

  restart(which: number): void {
    const gateway = this.#gateway(which);
    if (gateway.reading) return;
    const { end } = this.#now;
    Object.assign(gateway, { life: this.#now, reading: true, next: end, ringFrom: end });
  }

  /** A gateway that has nothing under way takes up what is next. `deaf`: Kafka or the group cannot be asked. */
  work(which: number, deaf: boolean): boolean {
    const gateway = this.#gateway(which);
    const { upkeep } = gateway;
    if (upkeep === undefined || gateway.request !== undefined) return false;
    const task = nextTask(upkeep, viewOf(gateway), maxFill);
    if (task === undefined) return false;
    const run = this.#requestOf(gateway, task);
    if (run === undefined) this.#settle(gateway, task, this.#ask(gateway, task, deaf));
    else gateway.request = { task, fence: task.fence, run, outcome: undefined };
    return true;
  }

  /** The store does what was asked. */
  async execute(which: number): Promise<void> {
    const { request } = this.#gateway(which);
    if (request !== undefined && request.outcome === undefined) await this.#carryOut(request);
  }

  /** The answer arrives. */
  deliver(which: number): void {
    const gateway = this.#gateway(which);
    const { request } = gateway;
    if (request?.outcome === undefined) return;
    gateway.request = undefined;
    this.#settle(gateway, request.task, request.outcome);
  }

  /** No answer in time; what was asked may still be done, later. */
  timeOut(which: number): void {
    const gateway = this.#gateway(which);
    const { request } = gateway;
    if (request === undefined) return;
    this.#forsake(gateway);
    this.#settle(gateway, request.task, { of: 'failure' });
  }

  async haunt(which: number): Promise<void> {
    const [ghost] = this.#ghosts.splice(which % Math.max(1, this.#ghosts.length), 1);
    if (ghost !== undefined) await this.#carryOut(ghost);
  }

  /** What the store has forgotten it need not fence. */
  forgets(): void {
    this.#highest = undefined;
  }

  /** Somebody resumes: what the buffer is believed to prove must be so. @returns how far it was proved. */
  async read(key: string, after: number): Promise<number | undefined> {
    let reached: number | undefined;
    for (let pages = 0; pages < 100; pages += 1) {
      const from: number = reached ?? after;
      const raw = await this.#options.store.read(this.#at, { key, after: from });
      const full = (raw?.entries.length ?? 0) >= this.#options.page;
      const proof = prove({ after: from }, raw, full, this.#options.proof);
      if (proof === undefined) {
        this.counts.unknown += 1;
        return reached;
      }
      const told = proof.entries.map(({ offset, packed }) => describe(unpackRecord(this.#at, offset, key, packed)));
      if (told.length > 0) this.counts.proved += 1;
      const truths = this.#lives.map(({ records }) =>
        records
          .filter(({ key: of, record }) => of === key && record.offset > from && record.offset <= proof.through)
          .map(describe),
      );
      if (!truths.some(truth => `${truth}` === `${told}`)) {
        this.problems.push(
          `of ${key} in (${from}, ${proof.through}] it said [${told}], not [${truths.join('] or [')}]`,
        );
      }
      reached = proof.through;
      if (proof.done) return reached;
    }
    this.problems.push(`reading ${key} behind ${after} does not end`);
    return reached;
  }

  /** All faults are over: the owner gets the buffer in step, and it serves what comes then. */
  async finish(): Promise<void> {
    const { owner } = this.#group;
    this.#ghosts.length = 0;
    for (const { name } of this.#gateways) {
      this.timeOut(name);
      this.learn(name);
      this.notice(name);
      this.restart(name);
    }
    this.#ghosts.length = 0;
    this.show(owner, 1_000);
    await this.#calmDown(owner);
    const before = this.end;
    for (const key of keys) this.append(key, 0);
    this.show(owner, 1_000);
    await this.#calmDown(owner);
    for (const key of keys) {
      const reached = await this.read(key, before - 1);
      if (reached !== this.end - 1)
        this.problems.push(`${key} behind ${before - 1} is proved to ${reached}, not ${this.end - 1}`);
    }
  }

  async #calmDown(owner: number): Promise<void> {
    for (let round = 0; round < 100; round += 1) {
      if (!this.work(owner, false)) return;
      await this.execute(owner);
      this.deliver(owner);
    }
    this.problems.push('the owner does not come to rest');
  }

  #gateway(which: number): Gateway {
    const gateway = this.#gateways[which % this.#gateways.length];
    if (gateway === undefined) throw new Error('no gateway');
    return gateway;
  }

  #forsake(gateway: Gateway): void {
    if (gateway.request !== undefined && gateway.request.outcome === undefined) this.#ghosts.push(gateway.request);
    gateway.request = undefined;
  }

  #settle(gateway: Gateway, task: Task, outcome: Outcome): void {
    if (gateway.upkeep !== undefined) gateway.upkeep = settle(gateway.upkeep, task, outcome, this.#options.upkeep);
  }

  async #carryOut(request: Request): Promise<void> {
    const before = this.#options.store.fingerprint();
    const outcome = await request.run();
    request.outcome = outcome;
    if (!('answer' in outcome) || typeof outcome.answer === 'string') return;
    const { answer } = outcome;
    if (answer.answer === 'STALE') {
      if (this.#options.store.fingerprint() !== before)
        this.problems.push(`${request.task.task} was STALE, and changed something`);
      return;
    }
    if (answer.answer === 'HOLE') return;
    const fence = 'fence' in answer ? answer.fence : request.fence;
    if (this.#highest !== undefined && isNewer(this.#highest, fence)) {
      this.problems.push(`${request.task.task} under an older fence was done`);
    }
    this.#highest = fence;
  }

  /** What of the tasks is asked of the store. */
  #requestOf(gateway: Gateway, task: Task): (() => Promise<Outcome>) | undefined {
    const { store } = this.#options;
    const { fence } = task;
    switch (task.task) {
      case 'claim':
        return async () => ({ of: 'claim', answer: await store.claim(this.#at, fence, task.force) });
      case 'close':
        return async () => ({ of: 'close', answer: await store.open(this.#at, fence, undefined, 0) });
      case 'open': {
        const id = this.#options.newId();
        const { from } = task;
        return async () => ({ of: 'open', id, from, answer: await store.open(this.#at, fence, id, from) });
      }
      case 'append': {
        const all = gateway.ring.filter(({ record }) => record.offset > task.after && record.offset < task.until);
        const records = all.slice(0, batch);
        const last = records[records.length - 1];
        const mark = last === undefined ? undefined : pointOf(last);
        const newTail = all.length > records.length && mark !== undefined ? mark.offset : task.until - 1;
        const append = { fence, id: task.id, expectedTail: task.after, newTail, records, mark };
        return async () => ({ of: 'append', newTail, answer: await store.append(this.#at, append) });
      }
      default:
        return undefined;
    }
  }

  /** What of the tasks is asked of Kafka. */
  #ask(gateway: Gateway, task: Task, deaf: boolean): Outcome {
    switch (task.task) {
      case 'verify': {
        const isMember = this.#group.owner === gateway.name && this.#group.assignment === gateway.assignment;
        return { of: 'verify', answer: deaf ? 'unknown' : isMember ? 'member' : 'zombie' };
      }
      case 'check': {
        const { mark, tail } = task.window;
        if (deaf) return { of: 'check', answer: 'unknown' };
        if (mark === undefined) return { of: 'check', answer: 'other' };
        const at = (records: readonly LogRecord[]) => records.find(({ record }) => record.offset === mark.offset);
        const inRing = at(gateway.ring);
        // Kafka tells which topic it has now.
        if (inRing === undefined && gateway.life !== this.#now) return { of: 'check', answer: 'unknown' };
        const found = inRing ?? at(this.#now.records);
        const same = found?.record.timestampMs === mark.timestampMs && (inRing !== undefined || tail < this.end);
        return { of: 'check', answer: same ? 'same' : 'other' };
      }
      case 'fill': {
        if (deaf) return { of: 'fill', answer: 'unknown' };
        const inLog = ({ record }: LogRecord) => record.offset >= task.from && record.offset < task.until;
        if (gateway.life === this.#now) {
          gateway.ring.unshift(...this.#now.records.filter(inLog));
          gateway.ringFrom = task.from;
        }
        return { of: 'fill', answer: 'done' };
      }
      default:
        throw new Error(`${task.task} is asked of the store`);
    }
  }
}

function viewOf({ reading, next, ringFrom }: Gateway): LogView {
  return { reading, next, ringFrom };
}

function describe({ record }: LogRecord): string {
  return `${record.offset}@${record.timestampMs}`;
}
