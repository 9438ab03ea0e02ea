import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from '../../dev/stack/options.ts';

/** Records of their own beside the bank's: their writer can make as many as a run needs, and money stays checkable. */
const ticks = `
scalar SafeInt

extend type Subscription {
  ticks: Tick! @records(topic: "ticks")
  allTicks: Tick! @records(topic: "ticks", scope: ALL) @requiresRole(anyOf: ["auditor"])
}

extend type Subscription {
  fading: Spare! @records(topic: "fading")
  reborn: Spare! @records(topic: "reborn")
  cut: Spare! @records(topic: "cut")
}

type Tick {
  "Counts over the whole topic: no two records share it."
  n: SafeInt!
  pad: String
}

type Spare { n: SafeInt! }
`;

/** Topics for faults that destroy records; nobody else writes or reads them. */
export const spareTopics = { fading: 'fading', reborn: 'reborn', cut: 'cut' } as const;
export type SpareTopic = keyof typeof spareTopics;

/**
 * Writes the app of a chaos run into a folder: the bundled bank, ticks, and topics for faults of their own.
 * @param release whose bank it is, the folder of its code.
 */
export function writeApp(folder: string, release = root): string {
  const bank = join(release, 'apps/bank');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'schema.graphql'), readFileSync(join(bank, 'schema.graphql'), 'utf8') + ticks);
  writeFileSync(join(folder, 'commands.ts'), `export { default } from ${JSON.stringify(join(bank, 'commands.ts'))};\n`);
  return folder;
}
