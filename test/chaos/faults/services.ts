import { killAt, killOne, pauseOne } from './gateways.ts';
import type { Fault } from './types.ts';

/** What happens to the other services. */
export const serviceFaults: readonly Fault[] = [
  { name: 'router-kill', inject: world => killOne(world, 'router', 'SIGKILL') },
  { name: 'router-term', inject: world => killOne(world, 'router', 'SIGTERM') },
  { name: 'handler-kill', inject: world => killOne(world, 'command-handler', 'SIGKILL') },
  { name: 'handler-kill-after-commit', inject: world => killAt(world, 'after-commit') },
  { name: 'handler-pause', inject: world => pauseOne(world, 'command-handler', 9_000) },
  { name: 'projector-kill', inject: world => killOne(world, 'projector', 'SIGKILL') },
];
