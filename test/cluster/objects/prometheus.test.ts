import assert from 'node:assert/strict';
import { test } from 'node:test';
import { scrapeConfig } from './prometheus.ts';

const spec = {
  selector: { matchLabels: { 'app.kubernetes.io/name': 'penstock' } },
  podMetricsEndpoints: [{ port: 'admin', path: '/metrics', interval: '5s' }],
};

test('a PodMonitor becomes a scrape configuration that keeps its Pods and its port, and names the Pod', () => {
  assert.deepEqual(scrapeConfig('bank', 'ns', spec), {
    job_name: 'podMonitor/ns/bank',
    metrics_path: '/metrics',
    scrape_interval: '5s',
    http_sd_configs: [{ url: 'http://10.89.0.2:7444/ns', refresh_interval: '5s' }],
    relabel_configs: [
      { action: 'keep', source_labels: ['__meta_kubernetes_pod_label_app_kubernetes_io_name'], regex: 'penstock' },
      { action: 'keep', source_labels: ['__meta_kubernetes_pod_container_port_name'], regex: 'admin' },
      { source_labels: ['__meta_kubernetes_namespace'], target_label: 'namespace' },
      { source_labels: ['__meta_kubernetes_pod_name'], target_label: 'pod' },
      { source_labels: ['__meta_kubernetes_pod_container_name'], target_label: 'container' },
    ],
  });
});

test('a PodMonitor with a field that is not translated is refused', () => {
  assert.throws(() => scrapeConfig('bank', 'ns', { ...spec, sampleLimit: 5 }), /sampleLimit/);
});
