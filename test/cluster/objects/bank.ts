import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeApp } from '../../chaos/app.ts';
import { imageNames } from '../images/images.ts';
import { brokers, redisUrl } from './servers.ts';
import { appNamespace, type KubeObject } from './types.ts';

/** The release, and with it the prefix of the names of its objects. */
export const release = 'bank';
export const fullName = `${release}-penstock`;
export const partitions = 24;

/** The values that all releases of a run have in common: small requests, so that a node of two cores can schedule everything. */
export const values = {
  image: { repository: imageNames.penstock, pullPolicy: 'Never' },
  app: { existingConfigMap: 'app-1' },
  kafka: { brokers, partitions, createTopics: true, replicationFactor: 3 },
  redis: { url: redisUrl },
  postgres: { existingSecret: 'postgres' },
  cursor: { existingSecret: 'cursor' },
  auth: { local: { signUp: true, roles: { auditor: ['auditor'] } } },
  gateway: { replicas: 2, resources: resources(60, 160) },
  router: { replicas: 2, resources: resources(40, 128) },
  commandHandler: { replicas: 2, resources: resources(40, 128) },
  projector: { replicas: 1, resources: resources(40, 128) },
} as const;

function resources(cpuMilli: number, memoryMi: number) {
  return { requests: { cpu: `${cpuMilli}m`, memory: `${memoryMi}Mi` }, limits: { memory: '768Mi' } };
}

export function secret(name: string, data: Readonly<Record<string, string>>): KubeObject {
  return { apiVersion: 'v1', kind: 'Secret', metadata: { name, namespace: appNamespace }, stringData: data };
}

/** The bank's schema with ticks beside it, as the chaos run has it. @param folder for files on the way. */
export function bankSchema(folder: string): string {
  return readFileSync(join(writeApp(folder), 'schema.graphql'), 'utf8');
}

/** An app for `app.existingConfigMap`. A changed app has another name, so that `helm upgrade` rolls it out. */
export function app(name: string, schema: string): KubeObject {
  const commands = "export { default } from '/app/apps/bank/commands.js';\n";
  const data = { 'schema.graphql': schema, 'commands.ts': commands };
  return { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: appNamespace }, data };
}
