import { type ChildProcess, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readRegister } from '../../dev/processes/register.ts';
import { plainEnvironment } from '../../dev/stack/environment.ts';
import { replaceJson } from '../../dev/stack/files.ts';
import { filesOf, type Release, readDown, readReleases, readSettings } from '../../dev/stack/folder.ts';
import { root, type Scale } from '../../dev/stack/options.ts';
import { openPorts } from '../../dev/stack/ports.ts';
import { readStackFile, type StackFile, type StackProcess } from '../../dev/stack/stack-file.ts';
import { until } from './until.ts';

/** A running stack: where it is, and how to hurt it. Names are those of stack.json, and kafka-1, redis, postgres. */
export interface Stack {
  folder: string;
  /** The routers' public address. */
  url: string;
  /** host:port */
  kafka: readonly string[];
  /** PEM, where the brokers speak TLS. */
  kafkaCaFile: string | undefined;
  redis: string;
  postgres: string;
  partitions: number;
  /** stack.json as it is now. */
  file(): StackFile;
  /** The Penstock processes that are up now. */
  processes(): StackProcess[];
  process(name: string): StackProcess;
  /** Of a service's process or a server; undefined while it is dead. */
  pid(name: string): number | undefined;
  /** Sends a signal; it is started again after 1 s. Returns the pid that was hit. */
  kill(name: string, signal?: NodeJS.Signals): number;
  /** SIGSTOP: it keeps its connections and says nothing. */
  pause(name: string): void;
  resume(name: string): void;
  /** Kills it and keeps it dead. */
  down(name: string): Promise<void>;
  /** Lets it run again; resolves when it runs, not when it is ready. */
  up(name: string): Promise<void>;
  /** From its next start on, the process runs that release; undefined: this one. */
  setRelease(name: string, release: Release | undefined): void;
  /** Resolves when so many processes are up and ready. */
  scale(wanted: Scale): Promise<void>;
  /** Everything that it has said on stdout and stderr. */
  output(): string;
  /** SIGTERM, waits until it is gone, removes its folder. Returns its exit code. */
  stop(): Promise<number | null>;
}

export interface StackWishes {
  routers?: number;
  /** Default 2. */
  gateways?: number;
  handlers?: number;
  projectors?: number;
  brokers?: 1 | 3;
  partitions?: number;
  app?: string;
  tls?: boolean;
  /** PENSTOCK_* for all services. */
  env?: Readonly<Record<string, string>>;
  /** Whether the routers serve the real pages, which are built where that has not been done yet. Default false: a page that says so. */
  pages?: boolean;
  /** Default true; false runs only Kafka, Redis and PostgreSQL. */
  services?: boolean;
  /** Processes, by name, that run another release than this one. */
  releases?: Readonly<Record<string, Release>>;
  /** Default: a new one, which `stop` removes. */
  folder?: string;
}

/** Starts a stack of the test's own on free ports, in a folder of its own, and waits until it is ready. */
export async function startStack(wishes: StackWishes = {}): Promise<Stack> {
  const run = await launchStack(wishes);
  try {
    await run.ready;
  } catch (error) {
    await run.stop();
    throw error;
  }
  return stackAt(run.folder, { output: run.output, stop: run.stop });
}

/** The stack that the runner has started for the tests of test/e2e and test/browser; it goes on after the test. */
export async function sharedStack(): Promise<Stack> {
  const file = process.env.TEST_STACK;
  if (file === undefined) throw new Error("TEST_STACK (the path of a stack's stack.json) is not set");
  return attachStack(dirname(file));
}

/** A stack that somebody else has started and will stop. */
export function attachStack(folder: string): Stack {
  return stackAt(folder, { output: () => '', stop: async () => null });
}

export interface StackRun {
  child: ChildProcess;
  folder: string;
  /** Rejects with what it said when it ends before it is ready. */
  ready: Promise<void>;
  /** Resolves with the exit code. */
  exited: Promise<number | null>;
  output(): string;
  stop(): Promise<number | null>;
}

/** Starts dev/start.ts without waiting for it. */
export async function launchStack(wishes: StackWishes, extraArguments: readonly string[] = []): Promise<StackRun> {
  const folder = wishes.folder ?? newFolder();
  if (wishes.releases !== undefined) {
    mkdirSync(folder, { recursive: true });
    replaceJson(filesOf(folder).releases, wishes.releases);
  }
  const script = join(root, 'dev', wishes.services === false ? 'infra.ts' : 'start.ts');
  const pages = wishes.pages === true ? {} : { PENSTOCK_SITE_FOLDER: join(import.meta.dirname, 'site') };
  const env = { ...plainEnvironment(process.env), ...pages, ...wishes.env };
  const args = [...(await argumentsOf(wishes, folder)), ...extraArguments];
  // the channel's end tells it that this process has died
  const child = spawn(process.execPath, [script, ...args], {
    env,
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream?.setEncoding('utf8').on('data', (text: string) => {
      said = (said + text).slice(-100_000);
    });
  }
  const exited = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  const ready = new Promise<void>((resolve, reject) => {
    child.stdout?.on('data', () => {
      if (/^ready /m.test(said)) resolve();
    });
    exited.then(code => reject(new Error(`the stack ended with code ${code}:\n${said}`)), reject);
  });
  ready.catch(() => undefined); // whoever waits for it hears of it
  return {
    child,
    folder,
    ready,
    exited,
    output: () => said,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) child.kill('SIGTERM');
      const code = await exited;
      if (wishes.folder === undefined) rmSync(folder, { recursive: true, force: true });
      return code;
    },
  };
}

export function newFolder(): string {
  return join(root, '.penstock-test', randomBytes(4).toString('hex'));
}

async function argumentsOf(wishes: StackWishes, folder: string): Promise<string[]> {
  const port = await openPorts({}, []).take('public');
  const args = ['--folder', folder, '--port', String(port)];
  for (const name of ['routers', 'gateways', 'handlers', 'projectors', 'brokers', 'partitions', 'app'] as const) {
    const value = wishes[name];
    if (value !== undefined) args.push(`--${name}`, String(value));
  }
  if (wishes.tls) args.push('--tls');
  return args;
}

function stackAt(folder: string, run: Pick<Stack, 'output' | 'stop'>): Stack {
  const files = filesOf(folder);
  const file = () => {
    const stack = readStackFile(files.stack);
    if (stack === undefined) throw new Error(`no stack runs in ${folder}`);
    return stack;
  };
  const pid = (name: string) => readRegister(files.register)?.processes.find(process => process.name === name)?.pid;

  function send(name: string, signal: NodeJS.Signals): number {
    const target = pid(name);
    if (target === undefined) throw new Error(`${name} does not run`);
    process.kill(target, signal);
    return target;
  }

  const { url, kafka, redis, postgres } = file();
  return {
    folder,
    url,
    kafka,
    kafkaCaFile: existsSync(files.tls) ? join(files.tls, 'ca.pem') : undefined,
    redis,
    postgres,
    partitions: readSettings(folder)?.partitions ?? 24,
    file,
    processes: () => file().processes,
    process(name) {
      const found = file().processes.find(process => process.name === name);
      if (found === undefined) throw new Error(`${name} is not up`);
      return found;
    },
    pid,
    kill: (name, signal = 'SIGKILL') => send(name, signal),
    pause: name => void send(name, 'SIGSTOP'),
    resume: name => void send(name, 'SIGCONT'),
    async down(name) {
      writeFileSync(files.down, [...readDown(folder), name, ''].join('\n'));
      if (pid(name) !== undefined) send(name, 'SIGKILL');
      await until(`${name} is dead`, () => pid(name) === undefined);
    },
    async up(name) {
      const others = [...readDown(folder)].filter(other => other !== name);
      writeFileSync(files.down, others.map(other => `${other}\n`).join(''));
      await until(`${name} runs again`, () => pid(name) !== undefined);
    },
    setRelease(name, release) {
      const { [name]: _, ...others } = readReleases(folder);
      replaceJson(files.releases, release === undefined ? others : { ...others, [name]: release });
    },
    async scale(wanted) {
      replaceJson(files.scale, wanted);
      await until(`the stack is scaled to ${JSON.stringify(wanted)}`, () => isScaled(file(), wanted), 60_000);
    },
    ...run,
  };
}

async function isScaled(stack: StackFile, wanted: Scale): Promise<boolean> {
  for (const [service, count] of Object.entries(wanted)) {
    const present = stack.processes.filter(process => process.service === service);
    if (present.length !== count) return false;
    const answers = await Promise.all(present.map(({ admin }) => fetch(`${admin}/readyz`).catch(() => undefined)));
    if (!answers.every(answer => answer?.ok)) return false;
  }
  return true;
}
