import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { logIn } from '../test/support/log-in.ts';
import { startStack } from '../test/support/stack.ts';
import { cpuShares, cpuTimesOf } from './cpu.ts';
import { measureHandler } from './handler.ts';
import { type Connection, connect, type LoadResult, openLoop } from './load.ts';

/**
 * Command → feedback over WebSocket, side by side with the plain peer of `bench/baseline`, in one run on one machine:
 * latency at 100/s, then a ladder of rates up to the first one that is not kept up with; and who used the CPU meanwhile.
 * Then the handler's transaction alone, in batches and one by one.
 * `npm run bench -- [--users 50] [--seconds 10] [--rates 250,500,1000,2000,3000,4000]`.
 */
interface Peer {
  name: string;
  connections: readonly Connection[];
  /** Its processes that are not the stack's, by pid. */
  processes: ReadonlyMap<number, string>;
  transfer(connection: number): Promise<unknown>;
  close(): Promise<void>;
}

const { values } = parseArgs({
  options: {
    users: { type: 'string', default: '50' },
    seconds: { type: 'string', default: '10' },
    rates: { type: 'string', default: '250,500,1000,2000,3000,4000' },
  },
});
const users = Number(values.users);
const seconds = Number(values.seconds);
const rates = values.rates.split(',').map(Number);
const sustainedP99Ms = 50;

type Stack = Awaited<ReturnType<typeof startStack>>;

async function penstock(stack: Stack): Promise<Peer> {
  const query = `mutation($token: String!, $to: String!) {
    transferMoney(token: $token, amount: 5, from: "cash", to: $to, descr: "bench") { commandId success }
  }`;
  const clients = await Promise.all(
    Array.from({ length: users }, async (_, index) => {
      const accessToken = await logIn(stack.url, `bench-${index}`);
      const response = await fetch(`${stack.url}/route`, {
        method: 'POST',
        headers: { authorization: `Bearer ${accessToken}` },
      });
      const { url } = (await response.json()) as { url: string };
      const connection = await connect(url, { accessToken });
      const opened = await connection.run('mutation { openAccount { iban token } }', {});
      const { iban, token } = (opened.data as { openAccount: { iban: string; token: string } }).openAccount;
      return { connection, variables: { to: iban, token } };
    }),
  );
  return {
    name: 'Penstock',
    connections: clients.map(({ connection }) => connection),
    processes: new Map(),
    transfer(index) {
      const client = clients[index % clients.length];
      if (client === undefined) throw new Error('no client');
      return client.connection.run(query, client.variables).then(succeed);
    },
    async close() {
      for (const { connection } of clients) connection.close();
    },
  };
}

async function baseline(stack: Stack): Promise<Peer> {
  const script = new URL('baseline/server.ts', import.meta.url).pathname;
  const child: ChildProcess = spawn(process.execPath, [script, stack.kafka.join(), stack.postgres, `-${process.pid}`], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const port = await new Promise<string>((resolve, reject) => {
    child.stdout?.on('data', said => resolve(String(said).split(' ')[1]?.trim() ?? ''));
    child.once('exit', code => reject(new Error(`the plain peer ended with ${code}`)));
  });
  const connections = await Promise.all(
    Array.from({ length: users }, () => connect(`ws://127.0.0.1:${port}/graphql`, {})),
  );
  const query =
    'mutation($user: String!) { transferMoney(user: $user, amount: 5, from: "cash", to: $user) { commandId success } }';
  return {
    name: 'plain',
    connections,
    processes: new Map([[child.pid ?? -1, 'plain peer']]),
    transfer(index) {
      const connection = connections[index % connections.length];
      if (connection === undefined) throw new Error('no connection');
      return connection.run(query, { user: `user-${index % users}` }).then(succeed);
    },
    async close() {
      for (const connection of connections) connection.close();
      child.kill();
      await once(child, 'exit');
    },
  };
}

function succeed(payload: Record<string, unknown>): void {
  const [verdict] = Object.values((payload.data ?? {}) as Record<string, { success: boolean }>);
  if (verdict?.success !== true) throw new Error(JSON.stringify(payload));
}

function row(name: string, what: string, { answered, failed, ratePerSecond, p50Ms, p99Ms, maxMs }: LoadResult): string {
  const cells = [
    name,
    what,
    answered,
    failed,
    ratePerSecond.toFixed(0),
    p50Ms.toFixed(1),
    p99Ms.toFixed(1),
    maxMs.toFixed(0),
  ];
  return `| ${cells.join(' | ')} |\n`;
}

interface Measured {
  latency: LoadResult;
  /** The highest rate that was held at p99 < 50 ms. */
  sustained: number;
  /** Who used the CPU at each rate. */
  cpu: readonly string[];
}

async function measure(stack: Stack, peer: Peer): Promise<Measured> {
  const cpu: string[] = [];
  const at = async (rate: number, warmUpSeconds: number): Promise<LoadResult> => {
    await openLoop(rate, warmUpSeconds, index => peer.transfer(index));
    const [before, begin] = [cpuTimesOf(stack, peer.processes), performance.now()];
    const result = await openLoop(rate, seconds, index => peer.transfer(index));
    const elapsed = (performance.now() - begin) / 1_000;
    process.stdout.write(row(peer.name, `${rate}/s`, result));
    cpu.push(`${peer.name}, ${rate}/s: ${cpuShares(before, cpuTimesOf(stack, peer.processes), elapsed)}`);
    return result;
  };
  const latency = await at(100, 10);
  let sustained = 0;
  for (const rate of rates) {
    const result = await at(rate, 2);
    if (result.failed > 0 || result.ratePerSecond < rate * 0.95) break;
    if (result.p99Ms < sustainedP99Ms) sustained = rate;
  }
  return { latency, sustained, cpu };
}

process.stdout.write(
  `${cpus().length} cores, Node ${process.version}, ${users} connections, ${seconds} s a rate, one broker\n\n`,
);
process.stdout.write(
  '| peer | offered | answered | failed | answered/s | p50 ms | p99 ms | max ms |\n|---|---|---|---|---|---|---|---|\n',
);
const stack = await startStack({ gateways: 1, handlers: 1 });
try {
  const results: Measured[] = [];
  for (const open of [penstock, baseline]) {
    const peer = await open(stack);
    results.push(await measure(stack, peer));
    await peer.close();
  }
  process.stdout.write(`\nCPU, in percent of one core:\n\n${results.flatMap(({ cpu }) => cpu).join('\n')}\n`);
  const [ours, plain] = results;
  if (ours && plain) {
    process.stdout.write(
      `\nPenstock : plain — p50 at 100/s ${(ours.latency.p50Ms / plain.latency.p50Ms).toFixed(2)}, p99 at 100/s ${(ours.latency.p99Ms / plain.latency.p99Ms).toFixed(2)}, ` +
        `sustained at p99 < ${sustainedP99Ms} ms ${ours.sustained}/s : ${plain.sustained}/s\n`,
    );
  }
  const rates = await measureHandler(stack.postgres, [1, 10, 50, 200, 500], Math.min(5, seconds));
  const alone = rates[0]?.commandsPerSecond ?? Number.NaN;
  process.stdout.write(
    '\nThe handler alone, one transaction at a time:\n\n| commands a transaction | commands/s | ratio |\n|---|---|---|\n',
  );
  for (const { batchCommands, commandsPerSecond } of rates) {
    const cells = [batchCommands, commandsPerSecond.toFixed(0), (commandsPerSecond / alone).toFixed(1)];
    process.stdout.write(`| ${cells.join(' | ')} |\n`);
  }
} finally {
  await stack.stop();
}
