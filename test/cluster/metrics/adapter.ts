import { readFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { join } from 'node:path';
import { z } from 'zod';
import { nodeAddress } from '../node/node.ts';
import { clusterRole } from '../objects/dns.ts';
import type { KubeObject } from '../objects/types.ts';

/** The API that a HorizontalPodAutoscaler asks for metrics of type Pods. */
const group = 'custom.metrics.k8s.io';
const version = 'v1beta1';
const base = `/apis/${group}/${version}`;
const port = 7443;
const namespace = 'kube-system';

export interface AdapterOptions {
  /** Of the node, with its certificates. */
  folder: string;
  /** URL of Prometheus. */
  prometheus: string;
  /** Names of the Pods that a label selector chooses. */
  podsOf(namespace: string, selector: string): Promise<string[]>;
  metrics: readonly string[];
}

export interface Adapter {
  close(): Promise<void>;
}

const answerOfPrometheus = z.object({
  data: z.object({
    result: z.array(z.object({ metric: z.object({ pod: z.string() }), value: z.tuple([z.number(), z.string()]) })),
  }),
});

/** Answers the custom metrics API from Prometheus, on the node's own address: what an adapter such as prometheus-adapter does. */
export async function startAdapter({ folder, prometheus, podsOf, metrics }: AdapterOptions): Promise<Adapter> {
  const pki = (name: string) => readFileSync(join(folder, 'pki', name));
  const server = createServer({ cert: pki('metrics.crt'), key: pki('metrics.key') }, (request, response) => {
    answer(request, response).catch(error => say(response, 500, { kind: 'Status', message: String(error) }));
  });

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'https://adapter');
    if (url.pathname === base) return say(response, 200, resources(metrics));
    // The API server passes the star on in an encoded form.
    const path = decodeURIComponent(url.pathname);
    const [, where = '', metric = ''] = /\/namespaces\/([^/]+)\/pods\/\*\/([^/]+)$/.exec(path) ?? [];
    if (!metrics.includes(metric))
      return say(response, 404, { kind: 'Status', apiVersion: 'v1', status: 'Failure', code: 404 });
    const names = new Set(await podsOf(where, url.searchParams.get('labelSelector') ?? ''));
    const query = encodeURIComponent(`sum by (pod) (${metric}{namespace="${where}"})`);
    const asked = await fetch(`${prometheus}/api/v1/query?query=${query}`, { signal: AbortSignal.timeout(5_000) });
    const { result } = answerOfPrometheus.parse(await asked.json()).data;
    const items = result
      .filter(({ metric: { pod } }) => names.has(pod))
      .map(({ metric: { pod: name }, value: [atSeconds, value] }) => ({
        describedObject: { kind: 'Pod', apiVersion: '/v1', namespace: where, name },
        metricName: metric,
        timestamp: new Date(atSeconds * 1_000).toISOString(),
        value,
      }));
    say(response, 200, { kind: 'MetricValueList', apiVersion: `${group}/${version}`, metadata: {}, items });
  }

  await new Promise<void>(resolve => server.listen(port, nodeAddress, resolve));
  return {
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function say(response: ServerResponse, status: number, body: object): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
}

function resources(metrics: readonly string[]): object {
  return {
    ...{ kind: 'APIResourceList', apiVersion: 'v1', groupVersion: `${group}/${version}` },
    resources: metrics.map(name => ({
      ...{ name: `pods/${name}`, singularName: '', namespaced: true, kind: 'MetricValueList', verbs: ['get'] },
    })),
  };
}

/** What makes the API server pass the custom metrics API on to the adapter, and lets the autoscaler ask. */
export function adapterObjects(folder: string): KubeObject[] {
  const name = 'custom-metrics';
  const metadata = { name, namespace };
  const caBundle = readFileSync(join(folder, 'pki/ca.crt')).toString('base64');
  return [
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { ports: [{ name: 'https', port: 443, targetPort: port }] },
    },
    {
      apiVersion: 'discovery.k8s.io/v1',
      kind: 'EndpointSlice',
      metadata: { ...metadata, labels: { 'kubernetes.io/service-name': name } },
      addressType: 'IPv4',
      ports: [{ name: 'https', port, protocol: 'TCP' }],
      endpoints: [{ addresses: [nodeAddress], conditions: { ready: true } }],
    },
    {
      apiVersion: 'apiregistration.k8s.io/v1',
      kind: 'APIService',
      metadata: { name: `${version}.${group}` },
      spec: {
        ...{ group, version, groupPriorityMinimum: 100, versionPriority: 100, caBundle },
        service: { name, namespace },
      },
    },
    ...clusterRole('horizontal-pod-autoscaler', namespace, [
      { apiGroups: [group], resources: ['*'], verbs: ['get', 'list'] },
    ]),
  ];
}
