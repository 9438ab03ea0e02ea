import { createServer, type Server } from 'node:http';
import { nodeAddress } from '../node/node.ts';

/** What it needs to know of a Pod. */
interface DiscoveredPod {
  metadata: { name: string; namespace: string; labels?: Record<string, string> };
  spec: { containers: { name: string; ports?: { name?: string; containerPort: number }[] }[] };
  status: { podIP?: string };
}

const port = 7444;

/**
 * Tells Prometheus the Pods of a namespace over its HTTP service discovery, with the labels that its Kubernetes discovery gives: the
 * one that Debian packages is built without the latter.
 */
export async function startDiscovery(podsOf: (namespace: string) => Promise<unknown>): Promise<Server> {
  const server = createServer((request, response) => {
    const namespace = new URL(request.url ?? '/', 'http://discovery').pathname.slice(1);
    podsOf(namespace).then(
      body => {
        const { items } = body as { items: DiscoveredPod[] };
        response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(items.flatMap(targetsOf)));
      },
      error => response.writeHead(500).end(String(error)),
    );
  });
  await new Promise<void>(resolve => server.listen(port, nodeAddress, resolve));
  return server;
}

/** Where {@link startDiscovery} tells of a namespace. */
export function discoveryOf(namespace: string): string {
  return `http://${nodeAddress}:${port}/${namespace}`;
}

/** @param name of a label of a Pod. @returns the name by which relabelings know it. */
export function podLabel(name: string): string {
  return `__meta_kubernetes_pod_label_${name.replaceAll(/[^a-zA-Z0-9_]/g, '_')}`;
}

/** One target for each port of each container, as role `pod` has it. */
function targetsOf({ metadata, spec, status }: DiscoveredPod): object[] {
  if (status.podIP === undefined) return [];
  const labels = Object.entries(metadata.labels ?? {}).map(([name, value]) => [podLabel(name), value]);
  return spec.containers.flatMap(container =>
    (container.ports ?? []).map(({ name = '', containerPort }) => ({
      targets: [`${status.podIP}:${containerPort}`],
      labels: {
        ...Object.fromEntries(labels),
        __meta_kubernetes_namespace: metadata.namespace,
        __meta_kubernetes_pod_name: metadata.name,
        __meta_kubernetes_pod_container_name: container.name,
        __meta_kubernetes_pod_container_port_name: name,
      },
    })),
  );
}
