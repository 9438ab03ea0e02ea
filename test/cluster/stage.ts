import { randomBytes } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import pg from 'pg';
import { newClusterId } from '../../dev/servers/kafka.ts';
import { until } from '../support/until.ts';
import type { Cluster } from './cluster.ts';
import { type Load, openLoad } from './load/load.ts';
import { app, bankSchema, fullName, partitions, release, secret, values } from './objects/bank.ts';
import { brokers, kafka, postgres, postgresUrl, redis, superuser } from './objects/servers.ts';
import { appNamespace, infraNamespace, namespace } from './objects/types.ts';
import { gapBoundMs } from './table.ts';

/** Values of the chart; objects are merged, anything else replaces. */
export interface Values {
  [name: string]: unknown;
}

/** A release of the chart with its servers, and the load on it. */
export interface Stage {
  cluster: Cluster;
  /** For files on the way. */
  folder: string;
  load: Load;
  /** The router's Service, by its address: clients of a cluster come through an Ingress, not through its name server. */
  url: string;
  schema: string;
  note(line: string): void;
  /** `helm upgrade` with these values beside those of before; waits until it is rolled out. */
  upgrade(more: Values, ...flags: string[]): Promise<void>;
  /** `helm template` with the values of now. */
  template(...flags: string[]): Promise<string>;
  /** A statement at PostgreSQL, as its own user. */
  sql(statement: string): Promise<void>;
  /** Takes the load, the release and the servers away. */
  close(): Promise<void>;
}

export interface StageOptions {
  cluster: Cluster;
  folder: string;
  /** Of the chart. */
  chart: string;
  /** Tag of the image that is installed. */
  tag: string;
  clients: number;
  seed: number;
  print(line: string): void;
}

export const databaseUsers = ['penstock_a', 'penstock_b'] as const;

/** Starts brokers and stores, installs the chart and opens the load on it. */
export async function openStage(options: StageOptions): Promise<Stage> {
  const { cluster, folder, print } = options;
  await cluster.apply([namespace(infraNamespace), namespace(appNamespace)]);
  await cluster.apply([...kafka(newClusterId(randomBytes), partitions), ...redis(), ...postgres()]);
  const wait = ['wait', '-n', infraNamespace, '--for=condition=Available', '--timeout=240s'];
  await cluster.kubectl(...wait, 'deployment', '--all');
  print('three brokers, Redis and PostgreSQL are up');
  const sql = (statement: string) => execute(statement);
  // Both own what either makes: objects belong to the role that they act as.
  await sql(
    'create role penstock; grant all on database penstock to penstock; alter database penstock owner to penstock',
  );
  for (const user of databaseUsers) {
    await sql(`create role ${user} login password '${user}' in role penstock; alter role ${user} set role penstock`);
  }
  const schema = bankSchema(join(folder, 'app'));
  await cluster.apply([
    secret('postgres', { url: postgresUrl(databaseUsers[0], databaseUsers[0]) }),
    secret('cursor', { secrets: `k1:${randomBytes(32).toString('base64')}` }),
    app('app-1', schema),
  ]);
  let current: Values = merged(values, { image: { tag: options.tag } });
  let revision = 0;
  const write = async (next: Values) => {
    const file = join(folder, `values-${++revision}.json`);
    await writeFile(file, JSON.stringify(next, undefined, 2));
    return ['-n', appNamespace, '-f', file];
  };
  const helm = async (verb: readonly string[], more: Values, flags: readonly string[]) => {
    const next = merged(current, more);
    const where = [...(await write(next)), '--wait', '--timeout', '240s'];
    await cluster.helm(...verb, release, options.chart, ...where, ...flags);
    current = next;
  };
  await helm(['install'], {}, []);
  print('the chart is installed');
  const url = `http://${await cluster.address(appNamespace, `${fullName}-router`)}`;
  await until(
    'the router',
    () =>
      fetch(`${url}/.well-known/jwks.json`).then(
        ({ ok }) => ok,
        () => false,
      ),
    60_000,
    200,
  );
  const load = await openLoad({
    ...{ url, kafka: brokers, postgres: postgresUrl(superuser.name, superuser.password), partitions },
    ...{
      clients: options.clients,
      ticksPerSecond: 60,
      transfersPerSecond: 10,
      seed: options.seed,
      boundMs: gapBoundMs,
      print,
    },
  });
  return {
    ...{ cluster, folder, load, url, schema, sql },
    note: line => load.diary.note('run', `  ${line}`),
    template: async (...flags) => cluster.helm('template', release, options.chart, ...(await write(current)), ...flags),
    async close() {
      await load.close();
      await cluster.helm('uninstall', release, '-n', appNamespace, '--wait', '--timeout', '120s');
      await cluster.kubectl('delete', 'namespace', appNamespace, infraNamespace, '--wait', '--timeout=120s');
    },
    upgrade: (more, ...flags) => helm(['upgrade'], more, flags),
  };
}

/** Runs a statement at the run's PostgreSQL as its superuser. */
export async function execute(statement: string): Promise<void> {
  const client = new pg.Client(postgresUrl(superuser.name, superuser.password));
  await client.connect();
  try {
    await client.query(statement);
  } finally {
    await client.end();
  }
}

function merged(base: Values, more: Values): Values {
  const isObject = (value: unknown): value is Values =>
    typeof value === 'object' && value !== null && !Array.isArray(value);
  const result = { ...base };
  for (const [name, value] of Object.entries(more)) {
    const old = result[name];
    result[name] = isObject(old) && isObject(value) ? merged(old, value) : value;
  }
  return result;
}
