import { setTimeout as sleep } from 'node:timers/promises';
import type { Diary } from '../../chaos/diary.ts';
import type { SentCommand } from '../../proof/check.ts';
import type { Random } from '../../proof/random.ts';
import { verdictText } from '../../proof/workload.ts';
import { type Account, openAccount, transferMoney } from '../../support/bank.ts';
import type { Answer, User } from '../../support/user.ts';

export interface RequestsOptions {
  users: ReadonlyMap<string, User>;
  /** Of all users together; for each transfer there is one query. */
  transfersPerSecond: number;
  random: Random;
  diary: Diary;
}

/** A request over HTTP that got no proper answer. */
export interface FailedRequest {
  atMs: number;
  kind: 'transfer' | 'query';
  why: string;
}

/** Transfers and queries over HTTP, at a steady rate, whether or not earlier ones are answered. */
export interface Requests {
  /** When each was sent, ms since the run's start. */
  readonly askedMs: readonly number[];
  readonly failed: readonly FailedRequest[];
  readonly sent: readonly SentCommand[];
  /** Resolves when every transfer under way has its verdict. */
  stop(): Promise<void>;
}

/** Behind a failed one the same command is sent again, under its id, until its verdict is known. */
const againMs = 300;
const answerWithinMs = 30_000;

/** Opens an account for each user, pays into it, and begins. */
export async function startRequests({ users, transfersPerSecond, random, diary }: RequestsOptions): Promise<Requests> {
  const accounts = new Map<string, Account>();
  const askedMs: number[] = [];
  const failed: FailedRequest[] = [];
  const sent: SentCommand[] = [];
  const busy = new Set<Promise<void>>();
  const names = [...users.keys()];
  for (const user of users.values()) await open(user);

  async function open(user: User): Promise<void> {
    const id = random.uuid();
    const answer = await user.post(openAccount, { id });
    const verdict = answer.data.openAccount as (Account & Record<string, unknown>) | undefined;
    if (verdict === undefined) throw new Error(`openAccount of ${user.name}: ${JSON.stringify(answer)}`);
    sent.push({ user: user.name, commandId: id, type: 'openAccount', observed: verdictText(verdict) });
    accounts.set(user.name, { iban: verdict.iban, token: verdict.token });
  }

  /** Returns the answer; undefined, and counted, where there is no proper one. */
  async function ask(kind: FailedRequest['kind'], user: User, query: string, variables: Record<string, unknown>) {
    const atMs = diary.now();
    askedMs.push(atMs);
    try {
      const answer = await inTime(user.post(query, variables));
      if (answer.status === 200 && answer.errors === undefined) return answer;
      const [error] = answer.errors ?? [];
      failed.push({ atMs, kind, why: `${answer.status} ${error?.extensions?.code ?? ''} ${error?.message ?? ''}` });
    } catch (error) {
      const { cause, message } = error as { cause?: { code?: string; message?: string }; message: string };
      failed.push({ atMs, kind, why: cause?.code ?? cause?.message ?? message });
    }
    return undefined;
  }

  async function transfer(user: User): Promise<void> {
    const mine = accounts.get(user.name);
    const other = accounts.get(random.pick(names));
    if (mine === undefined || other === undefined) return;
    const fromCash = other === mine || random.next() < 0.3;
    const to = fromCash ? mine.iban : other.iban;
    const id = random.uuid();
    const variables = {
      ...{ id, token: mine.token, to, from: fromCash ? 'cash' : mine.iban },
      ...{ amount: random.integer(1, fromCash ? 20_000 : 5_000), descr: id },
    };
    const command: SentCommand = { user: user.name, commandId: id, type: 'transferMoney', observed: undefined };
    sent.push(command);
    for (;;) {
      const answer = await ask('transfer', user, transferMoney, variables);
      const verdict = answer?.data.transferMoney as Record<string, unknown> | undefined;
      if (verdict !== undefined) {
        command.observed = verdictText(verdict);
        return;
      }
      await sleep(againMs);
    }
  }

  const timer = setInterval(() => {
    const user = users.get(random.pick(names));
    const reader = users.get(random.pick(names));
    if (user === undefined || reader === undefined) return;
    for (const one of [transfer(user), ask('query', reader, '{ account { iban balance } }', {}).then(() => {})]) {
      busy.add(one);
      void one.finally(() => busy.delete(one));
    }
  }, 1_000 / transfersPerSecond);

  return {
    ...{ askedMs, failed, sent },
    async stop() {
      clearInterval(timer);
      await Promise.all(busy);
    },
  };
}

async function inTime(answer: Promise<Answer>): Promise<Answer> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer for ${answerWithinMs} ms`)), answerWithinMs);
  });
  try {
    return await Promise.race([answer, late]);
  } finally {
    clearTimeout(timer);
  }
}
