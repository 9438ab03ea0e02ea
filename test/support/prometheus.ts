import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { dieWithUs } from './die-with-us.ts';
import { freePort } from './free-ports.ts';
import { tools } from './prometheus-tools.ts';
import { until } from './until.ts';

/** What Prometheus is to scrape: host:port, and labels. */
export interface Target {
  address: string;
  labels: Readonly<Record<string, string>>;
}

export interface Sample {
  metric: Readonly<Record<string, string>>;
  value: readonly [time: number, value: string];
}

/** A real Prometheus that scrapes each second. */
export interface Prometheus {
  /** The result of an instant query. @throws Error with what Prometheus says of an expression that it refuses. */
  query(expression: string): Promise<readonly Sample[]>;
  close(): Promise<void>;
}

/** @param rules text of a rule file, evaluated each second. */
export async function startPrometheus(job: string, targets: readonly Target[], rules: string): Promise<Prometheus> {
  if (tools === undefined) throw new Error('there is no Prometheus');
  const folder = mkdtempSync(join(tmpdir(), 'penstock-prometheus-'));
  const port = await freePort();
  writeFileSync(join(folder, 'rules.yaml'), rules);
  const config = {
    global: { scrape_interval: '1s', evaluation_interval: '1s' },
    rule_files: ['rules.yaml'],
    scrape_configs: [
      {
        job_name: job,
        static_configs: targets.map(({ address, labels }) => ({ targets: [address], labels })),
      },
    ],
  };
  writeFileSync(join(folder, 'prometheus.yaml'), stringify(config, { aliasDuplicateObjects: false }));
  const args = [
    `--config.file=${join(folder, 'prometheus.yaml')}`,
    `--storage.tsdb.path=${join(folder, 'data')}`,
    `--web.listen-address=127.0.0.1:${port}`,
  ];
  const child = dieWithUs(spawn(tools.prometheus, args, { stdio: ['ignore', 'ignore', 'pipe'] }));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    said = (said + text).slice(-10_000);
  });
  const url = `http://127.0.0.1:${port}`;
  await until(
    () => `Prometheus is ready; it said:\n${said}`,
    () =>
      fetch(`${url}/-/ready`).then(
        ({ ok }) => ok,
        () => false,
      ),
    30_000,
    50,
  );
  return {
    async query(expression) {
      const response = await fetch(`${url}/api/v1/query`, {
        method: 'POST',
        body: new URLSearchParams({ query: expression }),
      });
      const answer = (await response.json()) as { data?: { result: Sample[] }; error?: string };
      if (answer.data === undefined) throw new Error(`${answer.error}: ${expression}`);
      return answer.data.result;
    },
    async close() {
      const exited = once(child, 'exit');
      child.kill('SIGTERM');
      await exited;
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
