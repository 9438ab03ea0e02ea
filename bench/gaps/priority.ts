import { writeFileSync } from 'node:fs';
import { constants, setPriority } from 'node:os';

/**
 * Whoever measures goes before what is measured: a client that waits for a core sees gaps that no server made. Linux
 * shares the cores between sessions first, and between the processes of one session then.
 * @returns whether both could be set (Linux, as root); else the figures may contain its own waits.
 */
export function goFirst(): boolean {
  try {
    setPriority(constants.priority.PRIORITY_HIGH);
    writeFileSync('/proc/self/autogroup', String(constants.priority.PRIORITY_HIGH));
    return true;
  } catch {
    return false;
  }
}
