import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { z } from 'zod';
import { Trouble } from './trouble.ts';

export const services = ['router', 'gateway', 'command-handler', 'projector'] as const;
export type Service = (typeof services)[number];
export type Counts = Readonly<Record<Service, number>>;

export interface StackOptions {
  /** The stack's data, logs and files. */
  folder: string;
  /** The routers' common, public port. */
  port: number;
  counts: Counts;
  /** Not given: as the folder's data was made, else 1. */
  brokers: 1 | 3 | undefined;
  /** Not given: as the folder's data was made, else 24. */
  partitions: number | undefined;
  fresh: boolean;
  /** The app's folder, absolute. */
  app: string;
  tls: boolean;
}

export const root = resolve(import.meta.dirname, '../..');

export const usage =
  'npm start -- [--port 8080] [--gateways 2] [--routers 1] [--handlers 1] [--projectors 1] [--brokers 1|3] [--partitions 24] [--fresh] [--app apps/bank] [--tls] [--folder .penstock]';

const maxProcesses = 64;

/** Reads `npm start`'s arguments. Relative paths are relative to the project. @throws Trouble naming what is wrong. */
export function parseOptions(args: readonly string[]): StackOptions {
  const values = valuesOf(args);
  const app = resolve(root, values.app ?? 'apps/bank');
  if (!existsSync(join(app, 'schema.graphql'))) throw new Trouble(`--app ${values.app}: no schema.graphql in ${app}`);
  const brokers = integer('brokers', values.brokers, 1, 3);
  if (brokers !== undefined && brokers !== 1 && brokers !== 3) throw new Trouble('--brokers must be 1 or 3');
  return {
    folder: resolve(root, values.folder ?? '.penstock'),
    port: integer('port', values.port, 1, 65_535) ?? 8_080,
    counts: {
      router: integer('routers', values.routers, 1, maxProcesses) ?? 1,
      gateway: integer('gateways', values.gateways, 1, maxProcesses) ?? 2,
      'command-handler': integer('handlers', values.handlers, 0, maxProcesses) ?? 1,
      projector: integer('projectors', values.projectors, 0, maxProcesses) ?? 1,
    },
    brokers,
    partitions: integer('partitions', values.partitions, 1, 1_000),
    fresh: values.fresh ?? false,
    app,
    tls: values.tls ?? false,
  };
}

function valuesOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        port: { type: 'string' },
        gateways: { type: 'string' },
        routers: { type: 'string' },
        handlers: { type: 'string' },
        projectors: { type: 'string' },
        brokers: { type: 'string' },
        partitions: { type: 'string' },
        fresh: { type: 'boolean' },
        app: { type: 'string' },
        tls: { type: 'boolean' },
        folder: { type: 'string' },
      },
    }).values;
  } catch (error) {
    const [why] = (error instanceof Error ? error.message : String(error)).split('. ');
    throw new Trouble(`${why?.replace(/\.$/, '')}; usage: ${usage}`);
  }
}

function integer(name: string, text: string | undefined, min: number, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= min && value <= max) return value;
  throw new Trouble(`--${name} must be a whole number from ${min} to ${max}, not "${text}"`);
}

/** What `npm run scale` leaves for the stack in scale.json. */
export const scaleShape = z.partialRecord(z.enum(services), z.number().int().min(0).max(maxProcesses));
export type Scale = z.infer<typeof scaleShape>;

/** `gateway=3 projector=2` → counts. @throws Trouble naming what is wrong. */
export function parseScale(args: readonly string[]): Scale {
  if (args.length === 0) throw new Trouble('usage: npm run scale -- <service>=<count> …, e.g. gateway=3');
  const counts: Scale = {};
  for (const arg of args) {
    const [name = '', count = '', ...rest] = arg.split('=');
    const service = services.find(known => known === name);
    if (service === undefined || rest.length > 0)
      throw new Trouble(`${arg}: not <service>=<count>; services are ${services.join(', ')}`);
    if (!/^\d+$/.test(count) || Number(count) > maxProcesses) throw new Trouble(`${arg}: from 0 to ${maxProcesses}`);
    counts[service] = Number(count);
  }
  return counts;
}
