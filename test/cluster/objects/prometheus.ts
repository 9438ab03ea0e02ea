import { z } from 'zod';
import { imageNames } from '../images/images.ts';
import { discoveryOf, podLabel } from '../metrics/discovery.ts';
import { infraNamespace, type KubeObject, server } from './types.ts';

/** The parts of a PodMonitor that the chart uses; anything else is refused, rather than left out without a word. */
const podMonitor = z.strictObject({
  selector: z.strictObject({ matchLabels: z.record(z.string(), z.string()) }),
  podMetricsEndpoints: z.tuple([
    z.strictObject({
      port: z.string(),
      path: z.string(),
      interval: z.string(),
      relabelings: z.array(z.strictObject({ sourceLabels: z.array(z.string()), targetLabel: z.string() })).optional(),
    }),
  ]),
});

/**
 * Returns the scrape configuration that the Prometheus operator makes of a PodMonitor: Pods of its namespace with its labels,
 * the port by its name, the labels `namespace`, `pod` and `container`, then its own relabelings.
 */
export function scrapeConfig(name: string, namespace: string, spec: unknown): object {
  const { selector, podMetricsEndpoints } = podMonitor.parse(spec);
  const [endpoint] = podMetricsEndpoints;
  const keep = (source: string, regex: string) => ({ action: 'keep', source_labels: [source], regex });
  const copy = (source: string, target_label: string) => ({ source_labels: [source], target_label });
  return {
    job_name: `podMonitor/${namespace}/${name}`,
    metrics_path: endpoint.path,
    scrape_interval: endpoint.interval,
    http_sd_configs: [{ url: discoveryOf(namespace), refresh_interval: '5s' }],
    relabel_configs: [
      ...Object.entries(selector.matchLabels).map(([label, value]) => keep(podLabel(label), value)),
      keep('__meta_kubernetes_pod_container_port_name', endpoint.port),
      copy('__meta_kubernetes_namespace', 'namespace'),
      copy('__meta_kubernetes_pod_name', 'pod'),
      copy('__meta_kubernetes_pod_container_name', 'container'),
      ...(endpoint.relabelings ?? []).map(({ sourceLabels, targetLabel }) => ({
        ...{ source_labels: sourceLabels, target_label: targetLabel },
      })),
    ],
  };
}

export const prometheusPort = 9090;

/** A Prometheus that is told its targets by `startDiscovery`. */
export function prometheus(scrapes: readonly object[]): KubeObject[] {
  const metadata = { name: 'prometheus', namespace: infraNamespace };
  const configuration = { global: { scrape_interval: '5s' }, scrape_configs: scrapes };
  return [
    // YAML is a superset of JSON.
    { apiVersion: 'v1', kind: 'ConfigMap', metadata, data: { 'prometheus.yml': JSON.stringify(configuration) } },
    ...server(
      'prometheus',
      {
        image: imageNames.prometheus,
        args: ['--config.file=/configuration/prometheus.yml', '--storage.tsdb.path=/data', '--log.level=warn'],
        readinessProbe: { httpGet: { path: '/-/ready', port: prometheusPort }, periodSeconds: 1 },
        resources: { requests: { cpu: '30m', memory: '96Mi' } },
        volumeMounts: [
          { name: 'configuration', mountPath: '/configuration' },
          { name: 'data', mountPath: '/data' },
        ],
      },
      {
        port: prometheusPort,
        volumes: [
          { name: 'configuration', configMap: { name: 'prometheus' } },
          { name: 'data', emptyDir: {} },
        ],
      },
    ),
  ];
}
