import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { until } from '../support/until.ts';
import { nodeAddress } from './node/node.ts';
import { appNamespace, type KubeObject } from './objects/types.ts';

const run = promisify(execFile);

export interface Pod {
  metadata: { name: string; namespace: string; labels?: Record<string, string>; deletionTimestamp?: string };
  spec: { containers: { image: string }[] };
  status: {
    phase: string;
    podIP?: string;
    conditions?: { type: string; status: string }[];
    containerStatuses?: { restartCount: number; state?: { waiting?: { reason: string } } }[];
  };
}

/** The cluster as the test sees it: commands as a person gives them, and the API for what is asked often. */
export interface Cluster {
  /** Resolves to what it said on stdout. @throws Error with what it said on stderr. */
  kubectl(...args: string[]): Promise<string>;
  helm(...args: string[]): Promise<string>;
  apply(objects: readonly KubeObject[]): Promise<void>;
  /** A request to the API server. Resolves to the status and the body. */
  api(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }>;
  /** Pods of a component of the chart that are not on their way out. */
  pods(component: string): Promise<Pod[]>;
  /** Resolves when all Pods of a Deployment are of its newest form and ready, and there are no others. */
  settled(deployment: string, timeoutMs?: number): Promise<void>;
  /** The address of a Service. */
  address(namespace: string, service: string): Promise<string>;
}

/** @param folder of the node, with its certificates. */
export function openCluster(folder: string): Cluster {
  const pki = (name: string) => readFileSync(join(folder, 'pki', name));
  const agent = new Agent({ ca: pki('ca.crt'), cert: pki('admin.crt'), key: pki('admin.key'), keepAlive: true });

  async function command(name: string, args: readonly string[], input?: string): Promise<string> {
    // It ends with this process, however that ends.
    const running = run('setpriv', ['--pdeathsig', 'KILL', '--', name, ...args], { maxBuffer: 64 << 20 });
    if (input !== undefined) running.child.stdin?.end(input);
    try {
      return (await running).stdout;
    } catch (error) {
      const { stderr, message } = error as { stderr?: string; message: string };
      throw new Error(`${name} ${args.slice(0, 3).join(' ')}: ${stderr?.trim() || message}`);
    }
  }

  async function api(method: string, path: string, body?: object): Promise<{ status: number; body: unknown }> {
    const text = body === undefined ? undefined : JSON.stringify(body);
    return new Promise((resolve, reject) => {
      const asked = request(
        {
          host: nodeAddress,
          port: 6443,
          path,
          method,
          agent,
          timeout: 30_000,
          headers: { 'content-type': 'application/json' },
        },
        response => {
          const chunks: Buffer[] = [];
          response.on('data', chunk => chunks.push(chunk));
          response.on('end', () => {
            const said = Buffer.concat(chunks).toString();
            const isJson = response.headers['content-type']?.includes('json');
            resolve({ status: response.statusCode ?? 0, body: isJson ? (JSON.parse(said) as unknown) : said });
          });
        },
      );
      asked.on('timeout', () => asked.destroy(new Error(`${method} ${path}: no answer`)));
      asked.on('error', reject);
      asked.end(text);
    });
  }

  async function pods(component: string): Promise<Pod[]> {
    const labels = encodeURIComponent(`app.kubernetes.io/component=${component}`);
    const { body } = await api('GET', `/api/v1/namespaces/${appNamespace}/pods?labelSelector=${labels}`);
    return (body as { items: Pod[] }).items.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
  }

  return {
    kubectl: (...args) => command('kubectl', args),
    helm: (...args) => command('helm', args),
    async apply(objects) {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects });
      await command('kubectl', ['apply', '--server-side', '--force-conflicts', '-f', '-'], list);
    },
    api,
    pods,
    async settled(deployment, timeoutMs = 120_000) {
      const path = `/apis/apps/v1/namespaces/${appNamespace}/deployments/${deployment}`;
      let last = '';
      await until(
        () => `${deployment} to be rolled out, which has ${last}`,
        async () => {
          const { body } = await api('GET', path);
          const { metadata, spec, status } = body as {
            metadata: { generation: number; labels: Record<string, string> };
            spec: { replicas: number };
            status: Record<string, number | undefined>;
          };
          last = JSON.stringify(status);
          const counts = ['replicas', 'updatedReplicas', 'availableReplicas'].map(name => status[name] ?? 0);
          if (status.observedGeneration !== metadata.generation) return false;
          if (counts.some(count => count !== spec.replicas)) return false;
          // A Pod that was deleted just now is counted there for a moment longer.
          const ready = (await pods(metadata.labels['app.kubernetes.io/component'] ?? '')).filter(isReady);
          return ready.length === spec.replicas;
        },
        timeoutMs,
        250,
      );
    },
    async address(namespace, service) {
      const { body } = await api('GET', `/api/v1/namespaces/${namespace}/services/${service}`);
      return (body as { spec: { clusterIP: string } }).spec.clusterIP;
    },
  };
}

function isReady({ status }: Pod): boolean {
  return status.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') ?? false;
}
