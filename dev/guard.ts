/**
 * Waits until the supervisor that started it is gone, however it went (its end of the pipe closes), and ends the
 * processes that it has left behind. Arguments: the register file, the supervisor's pid.
 */
import { readRegister, sweep } from './processes/register.ts';

const [file = '', supervisor] = process.argv.slice(2);
for (const name of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(name, () => undefined);
process.stdin.resume();
process.stdin.once('close', () => {
  const register = readRegister(file);
  // a later start may have taken over the folder already
  if (register?.supervisor === Number(supervisor)) void sweep(register.processes, 10_000);
});
