import type { Requests } from './requests.ts';
import { randomId, type UserStorage } from './storage.ts';
import type { Tokens } from './tokens.ts';
import type { Result } from './types.ts';

export interface CommandParts {
  requests: Requests;
  storage: UserStorage;
  tokens: Tokens;
}

export interface CommandRequest {
  query: string;
  variables: Readonly<Record<string, unknown>>;
  commandId?: string | undefined;
}

/** Codes of commands that were refused before they were written: a later call is another command. */
const neverWritten = ['BAD_USER_INPUT', 'FORBIDDEN'];

/**
 * Sends a command until it has its verdict. Its id is given, or the variable's value, or made once and kept until then.
 * @throws Error where the document has no variable for it; UnauthorizedError, ConnectionError.
 */
export async function sendCommand<Data>(parts: CommandParts, request: CommandRequest): Promise<Result<Data>> {
  const { requests, storage, tokens } = parts;
  const { query, variables } = request;
  const name = commandIdVariable(query);
  let commandId = request.commandId ?? variables[name];
  let key: string | undefined;
  if (!commandId) {
    // The key is the user's: who that is, only a token tells.
    if (!tokens.user()) await requests.again(tokens.get);
    key = await storage.keyOf('command', query, variables).catch(() => '');
    commandId = key && (await storage.items.getItem(key));
    if (!commandId) {
      commandId = randomId();
      if (key) await storage.items.setItem(key, String(commandId));
    }
  }
  const result = await requests.send<Data>({ query, variables: { ...variables, [name]: commandId } });
  const hasVerdict = (result.errors ?? []).every(({ extensions }) => neverWritten.includes(String(extensions?.code)));
  if (key && hasVerdict) await storage.items.removeItem(key);
  return result;
}

/** Strings and comments of GraphQL. */
const noise = /"""[\s\S]*?"""|"(\\.|[^"\\])*"|#.*/g;

/** @throws Error where the document declares no variable for the argument `commandId`, or more than one. */
export function commandIdVariable(query: string): string {
  const text = query.replace(noise, '');
  const names = new Set([...text.matchAll(/\bcommandId\s*:\s*\$(\w+)/g)].map(([, name]) => name ?? ''));
  const [name] = names;
  if (names.size === 1 && new RegExp(`\\$${name}\\s*:`).test(text)) return name ?? '';
  throw new Error('the document must declare a variable for commandId');
}
