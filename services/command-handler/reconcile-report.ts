import type { ReconcileReport } from './reconcile.ts';
import type { Lost } from './reconcile-scan.ts';

/** One line for a record whose effect the ledger lacks. */
export function lineOf({ kind, topic, partition, offset, key, sequence, commandId, success }: Lost): string {
  const place = `${topic}/${partition} offset ${offset}, sequence ${sequence} of key ${JSON.stringify(key)}`;
  const told = success === undefined ? '' : `, the client was told success: ${success}`;
  switch (kind) {
    case 'event':
      return `lost effect: ${place}`;
    case 'verdict':
      return `lost verdict: command ${commandId}, ${place}${told}`;
    case 'other-verdict':
      return `decided otherwise: command ${commandId}, ${place}${told}`;
  }
}

/** What was found, and what has been or would be done about it, for people. */
export function linesOf(report: ReconcileReport): string[] {
  const { fault, recordsRead, lostVerdicts, otherVerdicts, lostEvents, keysBehind, commandsToRead, commandsGone } =
    report;
  return [
    ...(fault === undefined ? ['no handler has found that the ledger went back'] : [`commands were stopped: ${fault}`]),
    `${recordsRead} records of event topics were read`,
    `${lostVerdicts} commands have a verdict in the log and none in the ledger, ${otherVerdicts} have another one in the ledger`,
    `${lostEvents} events are in the log and not in the ledger; ${keysBehind} keys have a sequence behind the log's`,
    `${commandsToRead} commands lie behind the ledger's positions and are read when handlers start`,
    ...(commandsGone > 0 ? [`${commandsGone} more are gone from the log: nobody can decide them any more`] : []),
    ...(report.applied === undefined ? choices : done(report)),
  ];
}

const choices = [
  'nothing was changed. To go on, stop the command handlers (a local stack does it by itself) and choose:',
  '--apply --replay  decides the lost commands again, in the order of the log, from what the ledger has. Money moves again, once; a',
  '                  verdict may differ from what the client was told. Streams and the lists in views show the lost events and the new ones.',
  '                  What an app draws at random or from a sequence (the bank: tokens, IBANs) is drawn again and may differ.',
  "--apply --skip    takes the log's verdicts for the ledger's: clients were told the truth, but the lost effects stay lost. The ledger's",
  '                  money is that of before; what the lines above name is to be booked by hand.',
  'Either way new events get sequences above those in the log, so that streams and views show them.',
];

function done({ applied, keysBehind, lostVerdicts }: ReconcileReport): string[] {
  const verdicts =
    applied === 'skip'
      ? `${lostVerdicts} verdicts of the log are the ledger's now; their effects stay lost`
      : `${lostVerdicts} commands will be decided again`;
  return [`${keysBehind} keys were raised to the log's sequence; ${verdicts}`, 'command handlers may start'];
}
