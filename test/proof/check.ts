/**
 * What must hold after any run, whatever was killed on the way. Pure: evidence in, findings out.
 * The truth is a dump of the topics and of the ledger taken after the run, not what the services say.
 */

export interface TruthEvent {
  key: string;
  sequence: number;
  partition: number;
  offset: number;
  id: string;
  commandId: string;
  iban: string;
  changedBy: number;
  newBalance: number;
  fromTo: string;
}

export interface TruthVerdict {
  key: string;
  commandId: string;
  sequence: number;
  content: string;
  success: boolean;
}

export interface SentCommand {
  user: string;
  commandId: string;
  type: string;
  /** The verdict that the client saw; undefined when it never came. */
  observed: string | undefined;
}

export interface Evidence {
  /** Partition by partition, in offset order, repeats included. */
  events: readonly TruthEvent[];
  verdicts: readonly TruthVerdict[];
  commands: readonly SentCommand[];
  /** Event ids as each subscriber got them. */
  streams: ReadonlyMap<string, readonly string[]>;
  ledger: readonly { iban: string; owner: string; balance: number }[];
  views: readonly { iban: string; owner: string; balance: number }[];
  partitionOf(key: string): number;
}

export interface StreamFindings {
  lost: number;
  twice: number;
  outOfOrder: number;
  /** Not the caller's, or never in the log. */
  foreign: number;
}

export interface Findings extends StreamFindings {
  /** Keys whose first occurrences in the log are not in order of sequence, or lie in another partition than their key's. */
  disorderedKeys: number;
  /** Sequence numbers below its highest that a key has nowhere in the log. */
  missingSequences: number;
  /** Commands without a verdict, or with two that differ, or whose client saw another than the log has. */
  verdictFaults: number;
  /** Accepted commands without exactly one effect, rejected ones with any. */
  effectFaults: number;
  /** Accounts whose ledger, view and last event disagree; cents by which the sum of balances differs from what came in. */
  balanceFaults: number;
  centsAstray: number;
}

export function check(evidence: Evidence): Findings {
  return { ...checkStreams(evidence.streams, dropRepeats(evidence.events)), ...checkCommands(evidence) };
}

/** What commands have done: all but the streams. */
export function checkCommands(evidence: Omit<Evidence, 'streams'>): Omit<Findings, keyof StreamFindings> {
  const observedOnce = dropRepeats(evidence.events);
  return {
    disorderedKeys: disorderedKeys(evidence.events, evidence.partitionOf),
    missingSequences: missingSequences([...evidence.events, ...evidence.verdicts]),
    verdictFaults: verdictFaults(evidence),
    effectFaults: effectFaults(evidence, observedOnce),
    ...checkMoney(evidence, observedOnce),
  };
}

export function violations(findings: Findings): number {
  return Object.values(findings).reduce((sum: number, count) => sum + Math.abs(count), 0);
}

/** A record that a crash made the handler write again shows a sequence that its key has passed. */
function dropRepeats(events: readonly TruthEvent[]): TruthEvent[] {
  const passed = new Map<string, number>();
  return events.filter(event => {
    if (event.sequence <= (passed.get(event.key) ?? -1)) return false;
    passed.set(event.key, event.sequence);
    return true;
  });
}

function disorderedKeys(events: readonly TruthEvent[], partitionOf: (key: string) => number): number {
  const ids = new Map<string, string>();
  const highest = new Map<string, number>();
  const bad = new Set<string>();
  for (const event of events) {
    const at = `${event.key}/${event.sequence}`;
    const known = ids.get(at);
    if (known !== undefined && known !== event.id) bad.add(event.key);
    if (known === undefined && event.sequence < (highest.get(event.key) ?? -1)) bad.add(event.key);
    ids.set(at, event.id);
    highest.set(event.key, Math.max(event.sequence, highest.get(event.key) ?? -1));
    if (event.partition !== partitionOf(event.key)) bad.add(event.key);
  }
  return bad.size;
}

/** A key's sequence counts its events and verdicts together, from 1 on, and leaves none out. */
function missingSequences(records: readonly { key: string; sequence: number }[]): number {
  const seen = new Map<string, Set<number>>();
  for (const { key, sequence } of records) {
    if (!Number.isSafeInteger(sequence)) continue;
    const mine = seen.get(key) ?? new Set();
    seen.set(key, mine.add(sequence));
  }
  return [...seen.values()].reduce((sum, mine) => sum + [...mine].reduce((a, b) => Math.max(a, b), 0) - mine.size, 0);
}

function checkStreams(streams: Evidence['streams'], events: readonly TruthEvent[]): StreamFindings {
  const findings = { lost: 0, twice: 0, outOfOrder: 0, foreign: 0 };
  const truth = new Map<string, string[]>();
  for (const event of events) (truth.get(event.key) ?? truth.set(event.key, []).get(event.key))?.push(event.id);
  for (const [user, got] of streams) {
    const place = new Map((truth.get(user) ?? []).map((id, index) => [id, index]));
    const seen = new Set<string>();
    let last = -1;
    for (const id of got) {
      const index = place.get(id);
      if (index === undefined) findings.foreign++;
      else if (seen.has(id)) findings.twice++;
      else if (index < last) findings.outOfOrder++;
      seen.add(id);
      last = Math.max(last, index ?? -1);
    }
    for (const id of place.keys()) if (!seen.has(id)) findings.lost++;
  }
  return findings;
}

function verdictFaults({ verdicts, commands }: Pick<Evidence, 'verdicts' | 'commands'>): number {
  const contents = new Map<string, Set<string>>();
  for (const verdict of verdicts) {
    const at = `${verdict.key}/${verdict.commandId}`;
    (contents.get(at) ?? contents.set(at, new Set()).get(at))?.add(`${verdict.sequence} ${verdict.content}`);
  }
  const observed = new Map<string, Set<string>>();
  for (const { user, commandId, observed: content } of commands) {
    const at = `${user}/${commandId}`;
    (observed.get(at) ?? observed.set(at, new Set()).get(at))?.add(content ?? 'none');
  }
  let faults = 0;
  for (const [at, seen] of observed) {
    const logged = [...(contents.get(at) ?? [])].map(entry => entry.slice(entry.indexOf(' ') + 1));
    if (logged.length !== 1 || seen.size !== 1 || !seen.has(logged[0] ?? '')) faults++;
  }
  for (const at of contents.keys()) if (!observed.has(at)) faults++;
  return faults;
}

function effectFaults(
  { verdicts, commands }: Pick<Evidence, 'verdicts' | 'commands'>,
  events: readonly TruthEvent[],
): number {
  const sides = new Map<string, TruthEvent[]>();
  for (const event of events) {
    (sides.get(event.commandId) ?? sides.set(event.commandId, []).get(event.commandId))?.push(event);
  }
  const accepted = new Set(verdicts.filter(({ success }) => success).map(({ commandId }) => commandId));
  let faults = 0;
  for (const commandId of new Set(
    commands.filter(({ type }) => type === 'transferMoney').map(command => command.commandId),
  )) {
    const effects = sides.get(commandId) ?? [];
    const ibans = new Set(effects.map(({ iban }) => iban));
    const wanted = accepted.has(commandId);
    if (wanted ? effects.length < 1 || effects.length > 2 || ibans.size !== effects.length : effects.length > 0)
      faults++;
  }
  const known = new Set(commands.map(({ commandId }) => commandId));
  for (const commandId of sides.keys()) if (!known.has(commandId)) faults++;
  return faults;
}

function checkMoney(
  { ledger, views }: Pick<Evidence, 'ledger' | 'views'>,
  events: readonly TruthEvent[],
): Pick<Findings, 'balanceFaults' | 'centsAstray'> {
  const ours = new Set(ledger.map(({ iban }) => iban));
  const sums = new Map<string, number>();
  let cameIn = 0;
  for (const { iban, changedBy, fromTo } of events) {
    sums.set(iban, (sums.get(iban) ?? 0) + changedBy);
    if (!ours.has(fromTo)) cameIn += changedBy;
  }
  const view = new Map(views.map(row => [row.iban, row]));
  const balanceFaults = ledger.filter(({ iban, owner, balance }) => {
    const row = view.get(iban);
    return (sums.get(iban) ?? 0) !== balance || row?.balance !== balance || row.owner !== owner;
  }).length;
  return { balanceFaults, centsAstray: ledger.reduce((sum, { balance }) => sum + balance, 0) - cameIn };
}
