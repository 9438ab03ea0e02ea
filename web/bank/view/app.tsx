import type { ReadonlySignal } from '@preact/signals';
import { Connection } from '../../shared/connection.tsx';
import { LogInForm } from '../../shared/log-in-form.tsx';
import type { Session } from '../../shared/session.ts';
import type { Bank } from '../model/bank.ts';
import { AccountCard } from './account-card.tsx';
import { ConnectionNote } from './connection-note.tsx';
import { PayInForm, TransferForm } from './money-forms.tsx';
import { Announcement, Transactions } from './transactions.tsx';
import { VerdictLine } from './verdict.tsx';

/** @param bank undefined while nobody is logged in. */
export function App({ session, bank }: { session: Session; bank: ReadonlySignal<Bank | undefined> }) {
  const shown = bank.value;
  if (shown === undefined) return <Welcome session={session} />;
  return (
    <>
      <Header session={session} bank={shown} />
      <main>
        <ConnectionNote bank={shown} />
        <Content bank={shown} />
        <Announcement transaction={shown.arrival.value} />
      </main>
    </>
  );
}

function Brand() {
  return (
    <span class="brand">
      <svg viewBox="0 0 32 32" width="28" height="28" aria-hidden="true">
        <rect width="32" height="32" rx="8" fill="currentColor" />
        <path class="stroke" d="M7 10h9a6 6 0 0 1 0 12H7" fill="none" stroke-width="3.4" stroke-linecap="round" />
        <circle class="drop" cx="25.2" cy="16" r="2.3" />
      </svg>
      Penstock Bank
    </span>
  );
}

function Welcome({ session }: { session: Session }) {
  return (
    <main class="welcome">
      <div class="pitch">
        <Brand />
        <p class="claim">Pay each other. See it at once. Miss nothing.</p>
        <p>
          Each payment is an event in Kafka. This page gets yours the moment they are made, and goes on exactly where it
          was when its connection, or a server, has gone.
        </p>
      </div>
      <LogInForm session={session} title="Log in" />
      <ol class="steps">
        <li>
          Log in here, as alice for instance. Where sign-up is open, as in the local stack, a new name becomes a user.
        </li>
        <li>Log in as somebody else in a second tab, and place the two side by side.</li>
        <li>Pay each other, and take a gateway or your network away while you do.</li>
      </ol>
    </main>
  );
}

function Header({ session, bank }: { session: Session; bank: Bank }) {
  return (
    <header class="top">
      <h1>
        <Brand />
      </h1>
      <Connection state={bank.connection} />
      <span class="who">
        <span class="caption">Logged in as </span>
        <strong>{bank.user.username}</strong>
      </span>
      {bank.user.roles.includes('operator') && <a href="/console">Console</a>}
      <button type="button" class="button quiet small" onClick={() => session.logOut()}>
        Log out
      </button>
    </header>
  );
}

function Content({ bank }: { bank: Bank }) {
  const account = bank.account.value;
  if (bank.failure.value !== undefined) {
    return (
      <div class="card centred" role="alert">
        <h2>This page cannot go on</h2>
        <p>{bank.failure.value}</p>
        <button type="button" class="button" onClick={() => location.reload()}>
          Load it again
        </button>
      </div>
    );
  }
  if (account === undefined) return <p class="centred caption">Loading your account …</p>;
  if (account === null) return <NoAccount bank={bank} />;
  return (
    <div class="desk">
      <AccountCard account={account} />
      <section class="card orders" aria-labelledby="orders-title">
        <h2 id="orders-title">Move money</h2>
        <VerdictLine verdict={bank.verdict} />
        <TransferForm bank={bank} />
        <PayInForm bank={bank} />
      </section>
      <Transactions feed={bank.transactions} />
    </div>
  );
}

function NoAccount({ bank }: { bank: Bank }) {
  const isPending = bank.counter.pending.value !== undefined || bank.verdict.value?.kind === 'done';
  return (
    <section class="card centred" aria-labelledby="no-account-title">
      <h2 id="no-account-title">Welcome, {bank.user.username}</h2>
      <p>You have no account yet. One is opened in a moment, with an IBAN under which others can pay you.</p>
      <VerdictLine verdict={bank.verdict} />
      <button
        type="button"
        class="button"
        aria-disabled={isPending}
        onClick={() => (isPending ? undefined : bank.counter.place({ kind: 'open' }))}
      >
        Open account
      </button>
    </section>
  );
}
