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

type Tick {
  "Counts over the whole topic: no two records share it."
  n: SafeInt!
  pad: String
}
`;

/** Writes the app of a chaos run into a folder: the bundled bank, and ticks. */
export function writeApp(folder: string): string {
  const bank = join(root, 'apps/bank');
  mkdirSync(folder, { recursive: true });
  writeFileSync(join(folder, 'schema.graphql'), readFileSync(join(bank, 'schema.graphql'), 'utf8') + ticks);
  writeFileSync(join(folder, 'commands.ts'), `export { default } from ${JSON.stringify(join(bank, 'commands.ts'))};\n`);
  return folder;
}
