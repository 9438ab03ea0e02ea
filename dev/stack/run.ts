import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openRegister } from '../processes/register.ts';
import { openControl } from './control.ts';
import { penstockVariables, plainEnvironment } from './environment.ts';
import { readIfThere } from './files.ts';
import { type Fleet, openFleet } from './fleet.ts';
import { filesOf, readDown, readReleases, readSettings, saveSettings, takeFolder } from './folder.ts';
import { root, type Scale, type StackOptions, scaleShape, services } from './options.ts';
import { isFree } from './ports.ts';
import { prepareServers, type ServerAddresses } from './servers.ts';
import { cursorSecrets, hasCommands, refusePerProcess } from './services.ts';
import { builtPages } from './site.ts';
import { type StackProcess, writeStackFile } from './stack-file.ts';
import { openSupervisor, type Supervisor } from './supervisor.ts';
import { type Report, Trouble } from './trouble.ts';

export interface StackParts {
  env: Readonly<Record<string, string | undefined>>;
  report: Report;
  /** The stack is up; the address of the routers. */
  onReady(url: string, addresses: ServerAddresses): void;
  /** Aborted when the stack is to stop. */
  signal: AbortSignal;
  /** Without: only the servers run. */
  withServices: boolean;
}

const restartAfterMs = 1_000;
const lookEveryMs = 200;
const serverReadyWithinMs = 120_000;
const serverGraceMs = 9_000;

/**
 * Runs a stack until it is told to stop, and takes everything down again, whatever happens.
 * @throws Trouble when it could not start.
 */
export async function runStack(options: StackOptions, parts: StackParts): Promise<void> {
  const { folder } = options;
  const given = penstockVariables(parts.env);
  refusePerProcess(given);
  const taken = await takeFolder(folder, options.fresh, parts.report);
  try {
    if (parts.withServices && !(await isFree(options.port))) throw new Trouble(`port ${options.port} is in use`);
    const files = filesOf(folder);
    const register = openRegister(files.register);
    const guard = startGuard(files.register);
    const supervisor = openSupervisor({
      register,
      logFile: files.log,
      down: () => readDown(folder),
      restartAfterMs,
      report: parts.report,
    });
    try {
      await startAndRun(options, parts, given, supervisor);
    } finally {
      await Promise.all(supervisor.names().map(name => supervisor.stop(name, serverGraceMs)));
      rmSync(files.stack, { force: true });
      await dismiss(guard);
    }
  } finally {
    taken.release();
  }
}

async function startAndRun(
  options: StackOptions,
  parts: StackParts,
  given: Readonly<Record<string, string>>,
  supervisor: Supervisor,
): Promise<void> {
  const { folder, port, app } = options;
  const counts = hasCommands(app) ? options.counts : { ...options.counts, 'command-handler': 0 };
  const { report, signal } = parts;
  const files = filesOf(folder);
  const env = plainEnvironment(parts.env);
  const reservedPorts = [port];
  const [plan, siteFolder] = await together(
    signal,
    both => prepareServers({ ...options, reservedPorts, given, env }, report, both),
    // Whoever names a folder has the pages already, or wants none.
    async both => (parts.withServices ? (given.PENSTOCK_SITE_FOLDER ?? (await builtPages(report, both))) : undefined),
  );
  const { addresses, settings, ports } = plan;
  report(`starting ${plan.servers.map(({ name }) => name).join(', ') || 'no servers'}`);
  await all(plan.servers.map(server => supervisor.startFirst(server, serverReadyWithinMs, signal)));
  const url = parts.withServices ? `http://127.0.0.1:${port}` : '';
  // `npm run grow-partitions` changes it while the stack runs.
  const partitions = () => readSettings(folder)?.partitions ?? settings.partitions;
  const publish = (up: readonly StackProcess[]) => {
    saveSettings(folder, { ...settings, partitions: partitions(), ports: ports.all() });
    writeStackFile(files.stack, {
      url,
      processes: [...up],
      kafka: [...addresses.kafka],
      redis: addresses.redis,
      postgres: addresses.postgres,
    });
  };
  publish([]);
  if (!parts.withServices) {
    parts.onReady(url, addresses);
    await watch(supervisor, () => undefined, signal);
    return;
  }
  const control = await openControl(name => fleet.killGateway(name), report);
  const fleet: Fleet = openFleet({
    counts,
    ports,
    supervisor,
    context: {
      addresses,
      brokers: settings.brokers,
      partitions,
      publicPort: port,
      app,
      siteFolder,
      control: control.url,
      cursorSecrets: cursorSecrets(files.secrets),
      given,
      env,
    },
    releaseOf: name => readReleases(folder)[name],
    onChange: publish,
  });
  try {
    report(`starting ${services.map(service => `${counts[service]} ${service}`).join(', ')}`);
    await fleet.startFirst(signal);
    parts.onReady(url, addresses);
    await watch(supervisor, scaling(files.scale, fleet, report), signal);
  } finally {
    report('stopping');
    await control.close();
    await fleet.stop();
  }
}

/** Looks at the folder's files until it is time to stop. */
async function watch(supervisor: Supervisor, look: () => void, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    supervisor.look();
    look();
    await sleep(lookEveryMs, undefined, { signal }).catch(() => undefined);
  }
}

/** Carries out what `npm run scale` has written, one change of a service at a time. */
function scaling(file: string, fleet: Fleet, report: Report): () => void {
  let seen: string | undefined;
  let under = Promise.resolve();
  return () => {
    const text = readIfThere(file);
    if (text === undefined || text === seen) return;
    seen = text;
    const wanted = wantedOf(text, report);
    for (const service of services) {
      const count = wanted[service];
      if (count === undefined) continue;
      under = under
        .then(() => fleet.scale(service, count))
        .catch(error => report(`${service} could not be scaled: ${error instanceof Error ? error.message : error}`));
    }
  };
}

function wantedOf(text: string, report: Report): Scale {
  try {
    return scaleShape.parse(JSON.parse(text));
  } catch (error) {
    report(`scale.json is not what it should be: ${error instanceof Error ? error.message : error}`);
    return {};
  }
}

/** Ends what this process leaves behind should it be killed: see guard.ts. */
function startGuard(register: string): ChildProcess {
  const guard = spawn(process.execPath, [join(root, 'dev/guard.ts'), register, String(process.pid)], {
    stdio: ['pipe', 'ignore', 'ignore'],
    detached: true,
  });
  guard.on('error', () => undefined); // without it, the next start cleans up
  return guard;
}

async function dismiss(guard: ChildProcess): Promise<void> {
  if (guard.pid === undefined || guard.exitCode !== null || guard.signalCode !== null) return;
  const gone = once(guard, 'exit');
  guard.stdin?.destroy();
  await gone;
}

/** Does both beside each other. Where one fails the other is told to stop, and both have ended when this rejects with the first failure. */
async function together<One, Other>(
  signal: AbortSignal,
  one: (signal: AbortSignal) => Promise<One>,
  other: (signal: AbortSignal) => Promise<Other>,
): Promise<[One, Other]> {
  const failed = new AbortController();
  const both = AbortSignal.any([signal, failed.signal]);
  const work = [one(both), other(both)] as const;
  try {
    return await Promise.all(work);
  } catch (error) {
    failed.abort();
    await Promise.allSettled(work);
    throw error;
  }
}

/** Waits for all, then fails with the first failure: nothing is left going on. */
async function all(promises: readonly Promise<void>[]): Promise<void> {
  await Promise.allSettled(promises);
  await Promise.all(promises);
}
