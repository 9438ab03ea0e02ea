import { type ReadonlySignal, signal } from '@preact/signals';
import type { Counts } from './comparison.ts';
import { type Account, type Customer, openCustomer } from './customer.ts';

/** Simulated users who pay each other, and what becomes of their events. */
export interface Proof {
  counts: ReadonlySignal<Counts>;
  /** Payments that the bank took. */
  payments: ReadonlySignal<number>;
  /** Users who listen now. */
  users: ReadonlySignal<number>;
  /** Times a user had to connect again, or was moved. */
  reconnects: ReadonlySignal<number>;
  isPaused: ReadonlySignal<boolean>;
  /** Why nobody pays; undefined: they do. */
  trouble: ReadonlySignal<string | undefined>;
  pause(): void;
  resume(): void;
  close(): void;
}

const userCount = 6;
/** Between two payments of a user, ms, half more or less by chance. */
const payMs = 2_000;
/** Between two comparisons of a user, ms. */
const compareMs = 2_000;
const showMs = 250;
/** Whole cents. */
const firstDeposit = 10_000;
const largestPayment = 500;
const retryMs = 3_000;

/** Begins at once. @param storage keeps who the users are, so that a reload makes no new ones. */
export function openProof(storage: Storage): Proof {
  const counts = signal<Counts>({ delivered: 0, lost: 0, twice: 0 });
  const [payments, users, reconnects] = [signal(0), signal(0), signal(0)];
  const isPaused = signal(false);
  const trouble = signal<string>();
  const accounts = new Map<Customer, Account>();
  const { prefix, password } = identityIn(storage);
  const customers = Array.from({ length: userCount }, (_, index) => openCustomer(`${prefix}-${index + 1}`, password));
  let isClosed = false;

  const showing = setInterval(() => {
    const all = customers.map(customer => customer.counts());
    counts.value = all.reduce(sumOf);
    users.value = customers.filter(({ client }) => client.state.status === 'live').length;
    reconnects.value = customers.reduce(
      (sum, { client }) => sum + client.counters.reconnects + client.counters.moves,
      0,
    );
  }, showMs);
  for (const customer of customers) void live(customer);

  async function live(customer: Customer): Promise<void> {
    while (!isClosed && !accounts.has(customer)) {
      try {
        const account = await customer.start();
        accounts.set(customer, account);
        await customer.pay(firstDeposit, account.iban, 'cash');
        trouble.value = undefined;
      } catch (error) {
        trouble.value = `The simulated users cannot begin: ${error instanceof Error ? error.message : error}`;
        await pause(retryMs);
      }
    }
    await Promise.all([payOn(customer), compareOn(customer)]);
  }

  async function payOn(customer: Customer): Promise<void> {
    while (!isClosed) {
      await pause(payMs * (0.5 + Math.random()));
      const others = [...accounts].filter(([other]) => other !== customer);
      const to = others[Math.floor(Math.random() * others.length)]?.[1];
      if (isPaused.peek() || to === undefined) continue;
      const amount = 1 + Math.floor(Math.random() * largestPayment);
      const own = accounts.get(customer);
      try {
        if (await customer.pay(amount, to.iban)) payments.value++;
        else if (own !== undefined) await customer.pay(firstDeposit, own.iban, 'cash');
      } catch {
        // While no gateway answers there is no verdict; the next payment shows when one does.
      }
    }
  }

  async function compareOn(customer: Customer): Promise<void> {
    while (!isClosed) {
      await pause(compareMs);
      await customer.compare().catch(() => undefined);
    }
  }

  return {
    ...{ counts, payments, users, reconnects, isPaused, trouble },
    pause() {
      isPaused.value = true;
    },
    resume() {
      isPaused.value = false;
    },
    close() {
      isClosed = true;
      clearInterval(showing);
      for (const customer of customers) customer.close();
    },
  };
}

function sumOf(a: Counts, b: Counts): Counts {
  return { delivered: a.delivered + b.delivered, lost: a.lost + b.lost, twice: a.twice + b.twice };
}

function pause(ms: number): Promise<void> {
  return new Promise(resolve => setTimeout(resolve, ms));
}

const key = 'penstock.simulated';

interface Identity {
  prefix: string;
  password: string;
}

/** Users of the local stack, and of this browser alone. */
function identityIn(storage: Storage): Identity {
  try {
    const found: Identity | null = JSON.parse(storage.getItem(key) ?? 'null');
    if (found?.prefix && found.password) return found;
  } catch {
    // Something else has written it.
  }
  const made = { prefix: `simulated-${crypto.randomUUID().slice(0, 6)}`, password: crypto.randomUUID() };
  storage.setItem(key, JSON.stringify(made));
  return made;
}
