import { messageOf } from '../../lib/errors.ts';
import { Trouble } from './trouble.ts';

/**
 * Runs a command of the stack: SIGINT, SIGTERM and SIGHUP, or the end of the process that started it, ask it to stop
 * (again is not more), and then the exit code is 0. A trouble is one line on stderr and exit code 1.
 */
export async function main(run: (signal: AbortSignal) => Promise<void>): Promise<never> {
  const stop = new AbortController();
  for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => stop.abort());
  if (process.connected) process.once('disconnect', () => stop.abort());
  for (const stream of [process.stdout, process.stderr]) stream.on('error', () => undefined); // the reader has gone
  try {
    await run(stop.signal);
  } catch (error) {
    // a Ctrl-C reaches helpers such as initdb too: that they fail then is no news
    if (!stop.signal.aborted) fail(error);
  }
  process.exit(0);
}

function fail(error: unknown): never {
  const defect = error instanceof Error && !(error instanceof Trouble);
  process.stderr.write(`${defect ? (error.stack ?? error.message) : messageOf(error)}\n`);
  process.exit(1);
}
