import { z } from 'zod';
import { readIfThere, replaceJson } from './files.ts';
import { services } from './options.ts';

const shape = z.object({
  /** The routers' public address. */
  url: z.string(),
  /** The Penstock processes that are up. */
  processes: z.array(
    z.object({
      name: z.string(),
      service: z.enum(services),
      pid: z.number().int(),
      /** Its HTTP address; of a service without one, its admin address. */
      url: z.string(),
      admin: z.string(),
    }),
  ),
  kafka: z.array(z.string()),
  redis: z.string(),
  postgres: z.string(),
});

/** `stack.json`, as dev/README.md describes it. */
export type StackFile = z.infer<typeof shape>;
export type StackProcess = StackFile['processes'][number];

export function writeStackFile(path: string, stack: StackFile): void {
  replaceJson(path, stack, 0o600); // addresses that the user has set may hold passwords
}

/** The file's content, or nothing where no stack runs. */
export function readStackFile(path: string): StackFile | undefined {
  const text = readIfThere(path);
  return text === undefined ? undefined : shape.parse(JSON.parse(text));
}
