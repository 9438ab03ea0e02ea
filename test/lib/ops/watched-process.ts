/** A process with a watchdog. Its argument says what it does once it has said `up`; over its IPC channel it answers `pong` to anything. */
import { open } from 'node:inspector';
import { openLog } from '../../../lib/ops/log.ts';
import { openWatchdog } from '../../../lib/ops/watchdog.ts';

const [does, timeoutMs, file] = process.argv.slice(2);
if (does === 'hang-under-debugger') open(0, '127.0.0.1');
const log = openLog('watched', 'info');
openWatchdog('watched', { timeoutMs: Number(timeoutMs), file }, log);
if (does !== 'end') process.on('message', () => process.send?.('pong'));
process.send?.('up', () => {
  switch (does) {
    case 'hang':
      for (;;);
    case 'hang-under-debugger':
      hangForMs(3 * Number(timeoutMs));
      process.send?.('went on');
      break;
    case 'write':
      for (;;) log.info({ event: 'service_ready' }, '.'.repeat(65_536));
    case 'end':
      process.channel?.unref();
  }
});

function hangForMs(ms: number): void {
  const untilMs = performance.now() + ms;
  while (performance.now() < untilMs);
}
