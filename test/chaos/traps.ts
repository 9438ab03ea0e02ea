import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Mutant } from '../support/mutate.ts';

/** Places in the product at which a process can be made to kill itself. The product knows nothing of them: see mutation.ts. */
const places = {
  'before-delivery': {
    file: 'services/gateway/streams/record-flow.ts',
    before: '        for (let room = sink.room();',
  },
  'after-delivery': {
    file: 'services/gateway/streams/record-flow.ts',
    before: '        count(item.record);',
  },
  'before-append': {
    file: 'lib/replay/buffer/writer.ts',
    before: '          const endTimer = metrics.appending();',
  },
  'in-handover': {
    file: 'services/gateway/clients.ts',
    before: '          if (isDue()) client.moveOn();',
  },
  'in-replay': {
    file: 'lib/replay/flow.ts',
    before: '    if (!this.#stream.replayed(readBytes)) return false;',
  },
  'in-ring-replay': {
    file: 'lib/replay/flow.ts',
    before: '      if (key !== undefined && record.key !== key) continue;',
  },
  'after-commit': {
    file: 'services/command-handler/worker.ts',
    before: '      options.publish(committed);',
  },
} as const satisfies Record<string, { file: string; before: string }>;

export type Place = keyof typeof places;

/** A trap kills the first process that comes to its place, once. */
export interface Traps {
  /** For {@link mutantVariables}. */
  mutants: readonly Mutant[];
  arm(place: Place): { sprung(): boolean; disarm(): void };
}

/** @param folder where an armed trap is a file: whoever can remove it is the one that dies. */
export function layTraps(folder: string): Traps {
  mkdirSync(folder, { recursive: true });
  const fileOf = (place: string) => join(folder, place);
  return {
    mutants: Object.entries(places).map(([place, { file, before }]) => ({
      file,
      find: before,
      replace: `${trapCode(fileOf(place))}\n${before}`,
    })),
    arm(place) {
      writeFileSync(fileOf(place), '');
      return { sprung: () => !existsSync(fileOf(place)), disarm: () => rmSync(fileOf(place), { force: true }) };
    },
  };
}

function trapCode(path: string): string {
  const file = JSON.stringify(path);
  return `{ const fs = process.getBuiltinModule('node:fs'); if (fs.existsSync(${file})) try { fs.unlinkSync(${file}); process.kill(process.pid, 'SIGKILL'); } catch {} }`;
}
