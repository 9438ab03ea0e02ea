import { connect, type Socket } from 'node:net';
import { createInterface } from 'node:readline';

/** One command that Redis has carried out; they come in the order in which it did. */
export interface Command {
  /** By the clock of Redis, ms. */
  atMs: number;
  /** Called by the script whose own call came last. */
  fromScript: boolean;
  /** Name and arguments, escaped as MONITOR does; of a script and its commands the first {@link mostArguments}. */
  args: readonly string[];
}

export interface MonitorListener {
  /** Every command from now on is shown. */
  begun(): void;
  command(command: Command): void;
  /** Commands may be missing from here on: what was known from those before is known no more. */
  missed(): void;
}

/** The rest is records. */
const mostArguments = 24;
const againAfterMs = 100;

/**
 * Every command of one Redis, by MONITOR: exact where looking now and then is not, for a script is over in less than a
 * millisecond. Begins again by itself when Redis was away. @returns ends it.
 */
export function monitor(url: string, listener: MonitorListener): () => void {
  const { hostname, port } = new URL(url);
  let socket: Socket | undefined;
  let timer: NodeJS.Timeout | undefined;
  let stopped = false;
  begin();
  return () => {
    stopped = true;
    clearTimeout(timer);
    socket?.destroy();
  };

  function begin(): void {
    const mine = connect(Number(port), hostname);
    socket = mine;
    mine.once('connect', () => mine.write('MONITOR\r\n'));
    mine.on('error', () => undefined); // it is closed too
    mine.once('close', () => {
      if (stopped) return;
      listener.missed();
      timer = setTimeout(begin, againAfterMs);
    });
    const lines = createInterface({ input: mine });
    lines.on('error', () => undefined); // the socket's
    lines.on('line', line => {
      if (stopped) return;
      if (line === '+OK') return listener.begun();
      const command = commandOf(line);
      if (command === undefined) mine.destroy();
      else listener.command(command);
    });
  }
}

/** @param line as `+1339518083.107412 [0 127.0.0.1:60866] "get" "x"`, or with `lua` for the address. */
function commandOf(line: string): Command | undefined {
  const begin = line.indexOf('] "');
  if (!line.startsWith('+') || begin < 0) return undefined;
  const [seconds, , source] = line.slice(1, begin).split(' ');
  const fromScript = source === 'lua';
  const text = line.slice(begin + 3, -1);
  // a quote within an argument has a backslash before it
  const args = text.split('" "', fromScript || /^eval/i.test(text) ? mostArguments : undefined);
  return { atMs: Number(seconds) * 1_000, fromScript, args };
}
