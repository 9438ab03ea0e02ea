import { imageNames } from '../images/images.ts';
import type { KubeObject } from './types.ts';

const namespace = 'kube-system';

const corefile = `cluster.local:53 in-addr.arpa:53 {
    errors
    health :8080
    ready :8181
    kubernetes cluster.local in-addr.arpa {
        pods insecure
        ttl 5
    }
    cache 5
}
.:53 {
    errors
    template ANY ANY . {
        rcode NXDOMAIN
    }
}
`;

/** CoreDNS at the address that the kubelet gives to Pods. Names outside the cluster do not exist. */
export function dns(): KubeObject[] {
  const metadata = { name: 'coredns', namespace };
  const labels = { 'k8s-app': 'kube-dns' };
  const container = {
    name: 'coredns',
    image: imageNames.coredns,
    imagePullPolicy: 'Never',
    args: ['-conf', '/etc/coredns/Corefile'],
    readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
    resources: { requests: { cpu: '20m', memory: '30Mi' } },
    volumeMounts: [{ name: 'corefile', mountPath: '/etc/coredns' }],
  };
  const ports = ['UDP', 'TCP'].map(protocol => ({ name: protocol.toLowerCase(), port: 53, protocol }));
  return [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata },
    ...clusterRole('coredns', namespace, [
      { apiGroups: [''], resources: ['endpoints', 'services', 'pods', 'namespaces'], verbs: ['list', 'watch'] },
      { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
    ]),
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { Corefile: corefile } },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata,
      spec: {
        replicas: 1,
        selector: { matchLabels: labels },
        template: {
          metadata: { labels },
          spec: {
            serviceAccountName: 'coredns',
            dnsPolicy: 'Default',
            containers: [container],
            volumes: [{ name: 'corefile', configMap: { name: 'coredns' } }],
          },
        },
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace },
      spec: { clusterIP: '10.96.0.10', selector: labels, ports },
    },
  ];
}

/** A ClusterRole and what binds it to a service account of the same name. */
export function clusterRole(name: string, namespace: string, rules: readonly object[]): KubeObject[] {
  const rbac = 'rbac.authorization.k8s.io';
  return [
    { apiVersion: `${rbac}/v1`, kind: 'ClusterRole', metadata: { name: `test:${name}` }, rules },
    {
      apiVersion: `${rbac}/v1`,
      kind: 'ClusterRoleBinding',
      metadata: { name: `test:${name}` },
      roleRef: { apiGroup: rbac, kind: 'ClusterRole', name: `test:${name}` },
      subjects: [{ kind: 'ServiceAccount', name, namespace }],
    },
  ];
}
