import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import { messageOf } from '../errors.ts';
import type { CommandApp } from './commands.ts';

const callable = z.custom<(...args: never[]) => unknown>(value => typeof value === 'function', 'must be a function');

const commandApp = z.object({
  migrations: z.array(z.string(), 'must be a list of SQL statements'),
  load: callable,
  decide: callable,
  save: callable,
  reject: callable,
});

/**
 * Loads the decisions of an app: the default export of its `commands.ts`, or of its `commands.js` where that is all there is (the
 * image has the bundled app so).
 * @throws Error that names the file and everything that is missing or wrong in its default export.
 */
export async function loadCommands(folder: string): Promise<CommandApp<unknown, unknown>> {
  const bundled = resolve(folder, 'commands.js');
  const source = resolve(folder, 'commands.ts');
  const file = !existsSync(source) && existsSync(bundled) ? bundled : source;
  let exported: unknown;
  try {
    exported = ((await import(pathToFileURL(file).href)) as { default?: unknown }).default;
  } catch (error) {
    throw new Error(`${file}: can't be loaded: ${messageOf(error)}`, { cause: error });
  }
  const parsed = commandApp.safeParse(exported, {
    error: issue => (issue.path?.length ? undefined : 'no default export'),
  });
  if (!parsed.success) {
    const faults = parsed.error.issues.map(({ path, message }) => [...path.map(String), message].join(' '));
    throw new Error(`${file}: its default export is no CommandApp: ${faults.join('; ')}`);
  }
  // The object itself, not zod's copy of it: its functions may use `this`.
  return exported as CommandApp<unknown, unknown>;
}
