import { randomBytes } from 'node:crypto';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { z } from 'zod';
import type { ProcessSpec } from '../processes/kept-process.ts';
import { readIfThere, replaceJson } from './files.ts';
import type { Release } from './folder.ts';
import { root, type Service } from './options.ts';
import type { ServerAddresses } from './servers.ts';
import { Trouble } from './trouble.ts';

/** What every service of a stack is told, besides its own ports. */
export interface ServiceContext {
  addresses: ServerAddresses;
  brokers: number;
  /** As it is when a process starts. */
  partitions(): number;
  publicPort: number;
  /** The app's folder. */
  app: string;
  /** Where the pages are that the routers serve; undefined: there are no routers. */
  siteFolder: string | undefined;
  /** Where routers pass the console's orders on to. */
  control?: string;
  /** `id:base64`, signs cursors. */
  cursorSecrets: string;
  /** PENSTOCK_* of the caller; these win. */
  given: Readonly<Record<string, string>>;
  /** Everything else of the environment. */
  env: NodeJS.ProcessEnv;
}

/** Loopback ports of one process; `http` only for those that serve HTTP. */
export interface ServicePorts {
  /** What the process is called in the console. */
  name?: string;
  admin: number;
  http: number | undefined;
}

const perProcess = [
  'PENSTOCK_HTTP_LISTEN',
  'PENSTOCK_ADMIN_PORT',
  'PENSTOCK_GATEWAY_ADVERTISED_URL',
  'PENSTOCK_FLEET_INSTANCE',
  'PENSTOCK_CONSOLE_LOCAL_CONTROL',
];

/** @throws Trouble for variables that the stack gives out itself, differently to each process. */
export function refusePerProcess(given: Readonly<Record<string, string>>): void {
  const clash = perProcess.filter(name => given[name] !== undefined);
  if (clash.length > 0) throw new Trouble(`${clash.join(', ')}: given out by the local stack, one a process; unset it`);
}

export function servesHttp(service: Service): boolean {
  return service === 'router' || service === 'gateway';
}

/** Whether an app has decisions of its own, so that a command handler makes sense. */
export function hasCommands(app: string): boolean {
  return existsSync(join(app, 'commands.ts'));
}

/** How long a service may take to drain: all of them and the servers fit in 30 s. */
export const drainTimeoutMs: Readonly<Record<Service, number>> = {
  router: 10_000,
  gateway: 10_000,
  'command-handler': 5_000,
  projector: 5_000,
};

/**
 * V8's helper threads (collection of garbage, compilation): as many as this machine has cores, less one, and not 4 for each
 * process. Where all processes share two cores, a collection waits for helpers that wait for a core: measured up to 149 ms
 * for one of 10 (bench/README.md, Gaps). So they go behind everything else (putHelpersLast), and do nothing that
 * the program itself has to wait for.
 */
export const nodeOptions = [
  '--v8-pool-size=0',
  ...['--no-parallel-scavenge', '--no-parallel-marking', '--no-parallel-compaction', '--no-parallel-pointer-update'],
];

/** @param release that the process runs; undefined: this one. */
export async function serviceSpec(
  service: Service,
  ports: ServicePorts,
  context: ServiceContext,
  release: Release | undefined,
): Promise<ProcessSpec> {
  const folder = release?.folder ?? root;
  const variables = serviceVariables(
    service,
    ports,
    release === undefined ? context : { ...context, app: release.app },
  );
  return {
    command: process.execPath,
    args: [...nodeOptions, join(folder, 'services', service, 'main.ts')],
    env: { ...context.env, ...(release === undefined ? variables : await knownTo(release, variables)) },
    cwd: folder,
  };
}

/** Leaves out what another release does not know: it would refuse to start. */
async function knownTo({ folder }: Release, variables: Record<string, string>): Promise<Record<string, string>> {
  const load = async (path: string): Promise<unknown> => import(pathToFileURL(join(folder, path)).href);
  const { catalogue } = (await load('lib/ops/catalogue.ts')) as typeof import('../../lib/ops/catalogue.ts');
  const { variablesOf } = (await load('lib/ops/config.ts')) as typeof import('../../lib/ops/config.ts');
  const known = new Set(variablesOf(catalogue).map(({ name }) => name));
  return Object.fromEntries(Object.entries(variables).filter(([name]) => known.has(name)));
}

/** The PENSTOCK_* variables of one process. */
export function serviceVariables(
  service: Service,
  ports: ServicePorts,
  context: ServiceContext,
): Record<string, string> {
  const { addresses, publicPort, app } = context;
  const variables: Record<string, string> = {
    PENSTOCK_DRAIN_TIMEOUT_MS: String(drainTimeoutMs[service]),
    PENSTOCK_SCHEMA: join(app, 'schema.graphql'),
    PENSTOCK_KAFKA_BROKERS: addresses.kafka.join(','),
    PENSTOCK_KAFKA_CREATE_TOPICS: 'true',
    PENSTOCK_KAFKA_PARTITIONS: String(context.partitions()),
    PENSTOCK_KAFKA_REPLICATION_FACTOR: String(context.brokers),
    PENSTOCK_REDIS_URL: addresses.redis,
    PENSTOCK_POSTGRES_URL: addresses.postgres,
    PENSTOCK_AUTH_LOCAL_SIGN_UP: 'true',
    PENSTOCK_AUTH_LOCAL_ROLES: '{"auditor":["auditor"],"operator":["operator","auditor"]}',
    PENSTOCK_ROUTE_JWKS_URL: `http://127.0.0.1:${publicPort}/.well-known/jwks.json`,
    PENSTOCK_CURSOR_SECRETS: context.cursorSecrets,
  };
  if (addresses.kafkaCaFile !== undefined) variables.PENSTOCK_KAFKA_TLS_CA_FILE = addresses.kafkaCaFile;
  if (context.siteFolder !== undefined) variables.PENSTOCK_SITE_FOLDER = context.siteFolder;
  if (hasCommands(app)) variables.PENSTOCK_APP_FOLDER = app;
  Object.assign(variables, context.given, { PENSTOCK_ADMIN_PORT: String(ports.admin) });
  if (ports.name !== undefined) variables.PENSTOCK_FLEET_INSTANCE = ports.name;
  if (service === 'router' && context.control !== undefined) variables.PENSTOCK_CONSOLE_LOCAL_CONTROL = context.control;
  if (ports.http !== undefined) {
    const own = `127.0.0.1:${ports.http}`;
    variables.PENSTOCK_HTTP_LISTEN = service === 'router' ? `${own},127.0.0.1:${publicPort}` : own;
  }
  return variables;
}

/** The key that signs this folder's cursors, made once: cursors survive a restart as the data does. */
export function cursorSecrets(file: string): string {
  const kept = readIfThere(file);
  if (kept !== undefined) return z.object({ cursor: z.string() }).parse(JSON.parse(kept)).cursor;
  const cursor = `k1:${randomBytes(32).toString('base64')}`;
  replaceJson(file, { cursor }, 0o600);
  return cursor;
}
