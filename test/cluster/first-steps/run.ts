/**
 * Runs inside the node's network namespace, started by ../run.ts: gives the commands of docs/kubernetes.md as a newcomer does, and
 * those of the overlay for one machine, and writes what they print. Exit code 1 when a command fails or Bob misses a payment.
 */
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { newClusterId } from '../../../dev/servers/kafka.ts';
import { root } from '../../../dev/stack/options.ts';
import { openCluster } from '../cluster.ts';
import { dns } from '../objects/dns.ts';
import { kafka, postgres, redis } from '../objects/servers.ts';
import { infraNamespace, type KubeObject, namespace } from '../objects/types.ts';
import { execute } from '../stage.ts';
import { type Section, stepsOf } from './page.ts';
import { openShell } from './shell.ts';

const { values } = parseArgs({ options: { folder: { type: 'string', default: '' }, report: { type: 'string' } } });
const print = (line: string) => void process.stdout.write(`${line}\n`);
const commandMs = 360_000;
/** A person reads what a command printed before giving the next one; meanwhile Bob's events arrive. */
const readingMs = 2_000;
/** A line of the transcript is cut off behind so many characters: tokens and cursors are long. */
const lineLength = 200;

const afterwards: Section = {
  title: 'Then: an upgrade, what the notes say to check, and the end',
  commands: [
    'helm upgrade bank helm/penstock -f helm/penstock/values-bank.yaml --set gateway.replicas=3 --wait --timeout 5m',
    'kubectl -n default rollout status deploy/bank-penstock-gateway',
    'kubectl -n default port-forward deploy/bank-penstock-gateway 9090 &',
    'sleep 2; curl -s localhost:9090/readyz; echo',
    'curl -s localhost:8080/.well-known/jwks.json | cut -c 1-60',
    'helm -n default test bank --logs',
    'kubectl get pods',
    'helm uninstall bank --wait',
    'kubectl get all,secret,serviceaccount,configmap',
  ],
};

/** The overlay's own servers come from images of a public registry: ours take their places under their names. */
const overlay: Section = {
  title: 'Without Helm: k8s/overlays/local',
  commands: [
    "kubectl apply -k k8s/overlays/local -l 'app notin (kafka,redis,postgres)'",
    'kubectl -n penstock wait --for=condition=Complete job --all --timeout=240s',
    'kubectl -n penstock wait --for=condition=Available deployment -l app.kubernetes.io/name=penstock --timeout=240s',
    'kubectl -n penstock port-forward svc/penstock-router 8081:80 &',
    'sleep 2; B=http://127.0.0.1:8081; carol=$(login carol)',
    "ask $carol 'mutation { openAccount { success iban } }'",
    'kubectl -n penstock get pods',
  ],
};

const cluster = openCluster(values.folder);
await cluster.apply(dns());
await cluster.kubectl('wait', '-n', 'kube-system', '--for=condition=Available', 'deployment/coredns', '--timeout=120s');
await startServers('default');
await execute(`create role "user" login password 'password'; grant create on database penstock to "user"`);
print('Kafka, Redis and PostgreSQL are where the page wants them');

const page = await readFile(join(root, 'docs/kubernetes.md'), 'utf8');
const shell = openShell(root);
const lines: string[] = [];
const faults: string[] = [];
const everything: string[] = [];
try {
  for (const section of [...stepsOf(page, 'From nothing to a live subscription'), afterwards]) await take(section);
  await cluster.kubectl('delete', 'namespace', infraNamespace, '--wait', '--timeout=120s');
  await cluster.apply([namespace('penstock')]);
  await startServers('penstock');
  await execute("alter role postgres password 'penstock'");
  await take(overlay);
} finally {
  shell.close();
}
expect('helm test succeeds', /^Phase: +Succeeded$/m);
expect('Bob sees the lunch', /^data: .*"changedBy":2500,.*"descr":"lunch"/m);
expect('Bob sees the coffee behind his cursor', /^data: .*"changedBy":100,.*"descr":"coffee"/m);
expect('Carol has an account in the overlay', /"openAccount":\{"success":true,"iban":"NL/);
if (values.report !== undefined) await writeFile(values.report, reportOf());
for (const fault of faults) print(`FAULT: ${fault}`);
process.exit(faults.length === 0 ? 0 : 1);

/** Starts the servers and gives them the short names, in the client's namespace, that the page and the overlay use. */
async function startServers(client: string): Promise<void> {
  await cluster.apply([
    ...[namespace(infraNamespace), ...kafka(newClusterId(randomBytes), 24), ...redis(), ...postgres()],
    ...['kafka', 'redis', 'postgres'].map(name => alias(client, name)),
  ]);
  const wait = ['wait', '-n', infraNamespace, '--for=condition=Available', '--timeout=240s'];
  await cluster.kubectl(...wait, 'deployment', '--all');
}

function alias(where: string, name: string): KubeObject {
  const externalName = `${name === 'kafka' ? 'kafka-1' : name}.${infraNamespace}.svc.cluster.local`;
  const metadata = { name, namespace: where };
  return { apiVersion: 'v1', kind: 'Service', metadata, spec: { type: 'ExternalName', externalName } };
}

/** Gives the commands of a section and writes them down with what they print. */
async function take({ title, commands }: Section): Promise<void> {
  print(title);
  lines.push(`## ${title}`, '', '```');
  for (const written of commands) {
    const command = written.replace('THE-LAST-ID-THAT-BOB-SAW', lastId);
    const { code, printed } = await shell.run(command, commandMs);
    const text = `${printed}${(await laterThan(command)).printed}`;
    everything.push(text);
    // `curl --max-time` ends a stream that would go on: 28.
    if (code !== 0 && !(code === 28 && command.includes('--max-time'))) faults.push(`exit code ${code} of: ${written}`);
    lines.push(
      `$ ${written}`,
      ...text
        .split('\n')
        .filter(line => line.trim() !== '')
        .map(shortened),
    );
  }
  lines.push('```', '');
}

/** What jobs in the background print while the command before is read. */
async function laterThan(command: string): Promise<{ printed: string }> {
  await sleep(command.startsWith('pay ') || command.endsWith('&') ? readingMs : 0);
  return shell.run(':', commandMs);
}

/** The last cursor that was printed. */
function lastId(): string {
  return [...everything.join('').matchAll(/^id: ?(.+)$/gm)].at(-1)?.[1] ?? 'none';
}

function expect(what: string, pattern: RegExp): void {
  if (!pattern.test(everything.join('\n'))) faults.push(`not seen: ${what}`);
}

function shortened(line: string): string {
  return line.length > lineLength ? `${line.slice(0, lineLength)}…` : line;
}

function reportOf(): string {
  const day = new Date().toISOString().slice(0, 10);
  return [
    '<!-- Written by `npm run test:cluster -- --first-steps --report docs/reports/kubernetes-first-steps.md`. -->',
    '# First steps on a node',
    '',
    `What the commands of the first section of [kubernetes.md](../kubernetes.md) printed on ${day}, given one after the other, without any other.`,
    "The node is the test's own ([test/cluster](../../test/cluster/README.md)), with the image of `npm run image` imported into containerd. `kafka`,",
    '`redis` and `postgres` are names of servers elsewhere in the cluster. The PostgreSQL user is `user` with `CREATE` on the database `penstock`.',
    `Lines are cut off behind ${lineLength} characters.`,
    '',
    ...(faults.length > 0 ? ['**It did not end well:**', '', ...faults.map(fault => `- ${fault}`), ''] : []),
    ...lines,
  ].join('\n');
}
