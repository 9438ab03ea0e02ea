import { constants, setPriority } from 'node:os';
import { setSessionNice } from '../../dev/processes/priority.ts';

/**
 * Whoever measures goes before what is measured: a client that waits for a core sees gaps that no server made.
 * @returns whether both could be set (Linux, as root); else the figures may contain its own waits.
 */
export function goFirst(): boolean {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
    return setSessionNice('self', constants.priority.PRIORITY_HIGH);
  } catch {
    return false;
  }
}
