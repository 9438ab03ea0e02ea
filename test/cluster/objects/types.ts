/** An object of Kubernetes as it is sent to the API server. */
export interface KubeObject {
  apiVersion: string;
  kind: string;
  metadata: { name: string; namespace?: string; labels?: Readonly<Record<string, string>> };
  [field: string]: unknown;
}

/** Environment, ports and the rest of a container, in Kubernetes' own words. */
export type Container = Readonly<Record<string, unknown>> & { name: string; image: string };

/** Where the brokers and stores of a run are. */
export const infraNamespace = 'infra';
/** Where the chart is installed. */
export const appNamespace = 'bank';

export function namespace(name: string): KubeObject {
  return { apiVersion: 'v1', kind: 'Namespace', metadata: { name } };
}

/** One Pod that is made again where it was, by a Deployment, and the Service of its name. */
export function server(
  name: string,
  container: Omit<Container, 'name'> & { image: string },
  { port, ...pod }: { port: number } & Readonly<Record<string, unknown>>,
): KubeObject[] {
  const labels = { app: name };
  const metadata = { name, namespace: infraNamespace, labels };
  const containers = [{ name, imagePullPolicy: 'Never', ports: [{ containerPort: port }], ...container }];
  return [
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        strategy: { type: 'Recreate' },
        selector: { matchLabels: labels },
        template: { metadata: { labels }, spec: { enableServiceLinks: false, containers, ...pod } },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata,
      spec: { selector: labels, publishNotReadyAddresses: true, ports: [{ name: 'main', port }] },
    },
  ];
}
