import type { Command, LedgerQueries } from '../../lib/app/commands.ts';
import { looksLikeOurs } from './iban.ts';

export interface Account {
  iban: string;
  /** User key. */
  owner: string;
  /** Secret; whoever sends money from this account must show it. */
  token: string;
  balanceCents: number;
}

/** What a batch's decisions see and change: the accounts that its commands name, and serials for new ones. */
export interface Ledger {
  byIban: Map<string, Account>;
  byOwner: Map<string, Account>;
  /** Serials of account numbers that nobody has had, taken from the front. */
  serials: number[];
}

export type Change = { kind: 'opened'; account: Readonly<Account> } | { kind: 'balance'; iban: string; cents: number };

/** Lowest balance of any account. */
export const limitCents = -50_000;

export const migrations = [
  'CREATE SCHEMA IF NOT EXISTS bank',
  `CREATE TABLE IF NOT EXISTS bank.accounts (
    iban text PRIMARY KEY,
    owner text NOT NULL UNIQUE,
    token text NOT NULL,
    limit_cents bigint NOT NULL,
    balance_cents bigint NOT NULL,
    CONSTRAINT never_below_limit CHECK (balance_cents >= limit_cents),
    CONSTRAINT safe_integer CHECK (balance_cents BETWEEN -9007199254740991 AND 9007199254740991)
  ) WITH (fillfactor = 70)`,
  'CREATE SEQUENCE IF NOT EXISTS bank.account_serial MINVALUE 1 MAXVALUE 9999999999',
];

export function emptyLedger(): Ledger {
  return { byIban: new Map(), byOwner: new Map(), serials: [] };
}

/** Locks the accounts in order of IBAN, so that two batches wait for each other and never in a circle. */
export async function load(queries: LedgerQueries, commands: readonly Command[]): Promise<Ledger> {
  const ibans = new Set<string>();
  const openers = new Set<string>();
  for (const command of commands) {
    if (command.type === 'openAccount') openers.add(command.userKey);
    else
      for (const name of [command.arguments.from, command.arguments.to]) {
        if (typeof name === 'string' && looksLikeOurs(name)) ibans.add(name);
      }
  }
  const ledger = emptyLedger();
  if (ibans.size === 0 && openers.size === 0) return ledger;
  const accounts = await queries.query<Account>(
    `SELECT iban, owner, token, balance_cents::float8 AS "balanceCents" FROM bank.accounts
     WHERE iban = ANY($1::text[]) OR owner = ANY($2::text[]) ORDER BY iban COLLATE "C" FOR NO KEY UPDATE`,
    [[...ibans], [...openers]],
  );
  for (const account of accounts) addAccount(ledger, account);
  const newcomers = [...openers].filter(owner => !ledger.byOwner.has(owner)).length;
  if (newcomers > 0) {
    const rows = await queries.query<{ serial: number }>(
      `SELECT nextval('bank.account_serial')::float8 AS serial FROM generate_series(1, $1::int)`,
      [newcomers],
    );
    for (const { serial } of rows) ledger.serials.push(serial);
  }
  return ledger;
}

/** Writes each new account and each account's last balance, one statement a kind. */
export async function save(queries: LedgerQueries, changes: readonly Change[]): Promise<void> {
  const opened: Readonly<Account>[] = [];
  const balances = new Map<string, number>();
  for (const change of changes) {
    if (change.kind === 'opened') opened.push(change.account);
    else balances.set(change.iban, change.cents);
  }
  const writes: Promise<unknown>[] = [];
  if (opened.length > 0) {
    writes.push(
      queries.query(
        `INSERT INTO bank.accounts (iban, owner, token, limit_cents, balance_cents)
         SELECT iban, owner, token, $4::bigint, 0 FROM unnest($1::text[], $2::text[], $3::text[]) AS new(iban, owner, token)`,
        [
          opened.map(account => account.iban),
          opened.map(({ owner }) => owner),
          opened.map(({ token }) => token),
          limitCents,
        ],
      ),
    );
  }
  if (balances.size > 0) {
    writes.push(
      queries.query(
        // By place: as a join it is planned for the few accounts of the first day, and then reads all of them each time.
        `UPDATE bank.accounts AS account SET balance_cents = new.cents
         FROM unnest($1::text[], $2::bigint[]) AS new(iban, cents)
         CROSS JOIN LATERAL (SELECT ctid FROM bank.accounts AS found WHERE found.iban = new.iban OFFSET 0) AS place
         WHERE account.ctid = place.ctid`,
        [[...balances.keys()], [...balances.values()]],
      ),
    );
  }
  await Promise.all(writes);
}

export function addAccount(ledger: Ledger, account: Account): void {
  ledger.byIban.set(account.iban, account);
  ledger.byOwner.set(account.owner, account);
}
