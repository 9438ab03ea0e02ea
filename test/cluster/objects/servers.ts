import { nodeProperties } from '../../../dev/servers/kafka.ts';
import { imageNames } from '../images/images.ts';
import { infraNamespace, type KubeObject, server } from './types.ts';

const domain = `${infraNamespace}.svc.cluster.local`;
const image = imageNames.servers;

/** Addresses as a Pod knows them; the test resolves them by the cluster's name server. */
export const brokers = [1, 2, 3].map(id => `kafka-${id}.${domain}:9092`);
export const redisUrl = `redis://redis.${domain}:6379`;
export const postgresUrl = (user: string, password: string) =>
  `postgres://${user}:${password}@postgres.${domain}:5432/penstock`;
/** PostgreSQL's own user, with whom the test makes the others. */
export const superuser = { name: 'postgres', password: 'superuser' } as const;

/** Three brokers that are controllers too, in combined mode, each with a Service of its own. */
export function kafka(clusterId: string, partitions: number): KubeObject[] {
  const nodes = [1, 2, 3].map(id => ({ id, port: 9092, controllerPort: 9093 }));
  const voters = nodes.map(({ id }) => `${id}@kafka-${id}.${domain}:9093`).join(',');
  const java = ['/java/bin/java', '-XX:+UseSerialGC', '-XX:TieredStopAtLevel=1', '-XX:+ExitOnOutOfMemoryError'];
  const classes = ['-Dlog4j2.configurationFile=/kafka.properties', '-cp', '/kafka/*'];
  const mounts = ['configuration', 'data', 'tmp'].map(name => ({ name, mountPath: `/${name}` }));
  const properties = '/configuration/server.properties';
  return nodes.flatMap(node => {
    const name = `kafka-${node.id}`;
    const cluster = { clusterId, folder: '/data', jarsFolder: '/kafka', nodes, partitions, tls: undefined };
    // The last value of a property counts.
    const text = `${nodeProperties(cluster, node)}controller.quorum.voters=${voters}
listeners=PLAINTEXT://0.0.0.0:9092,CONTROLLER://0.0.0.0:9093
advertised.listeners=PLAINTEXT://${name}.${domain}:9092,CONTROLLER://${name}.${domain}:9093
`;
    const format = ['kafka.tools.StorageTool', 'format', '--ignore-formatted', '--cluster-id', clusterId];
    const [deployment, service] = server(
      name,
      {
        image,
        command: [...java, '-Xmx256m', ...classes, 'kafka.Kafka', properties],
        readinessProbe: { tcpSocket: { port: 9092 }, periodSeconds: 1 },
        resources: { requests: { cpu: '50m', memory: '400Mi' } },
        volumeMounts: mounts,
      },
      {
        port: 9092,
        initContainers: [
          {
            ...{ name: 'format', image, imagePullPolicy: 'Never', volumeMounts: mounts },
            command: [...java, ...classes, ...format, '--config', properties],
          },
        ],
        volumes: [
          { name: 'configuration', configMap: { name } },
          { name: 'data', emptyDir: {} },
          { name: 'tmp', emptyDir: {} },
        ],
      },
    );
    const ports = [
      { name: 'main', port: 9092 },
      { name: 'controller', port: 9093 },
    ];
    return [
      {
        apiVersion: 'v1',
        kind: 'ConfigMap',
        metadata: { name, namespace: infraNamespace },
        data: { 'server.properties': text },
      },
      ...(deployment ? [deployment] : []),
      ...(service ? [{ ...service, spec: { ...(service.spec as object), ports } }] : []),
    ];
  });
}

export function redis(): KubeObject[] {
  return server(
    'redis',
    {
      image,
      command: ['/redis-server', '--protected-mode', 'no', '--save', '', '--maxmemory', '128mb'],
      readinessProbe: { tcpSocket: { port: 6379 }, periodSeconds: 1 },
      resources: { requests: { cpu: '20m', memory: '64Mi' } },
    },
    { port: 6379 },
  );
}

/** PostgreSQL that asks for passwords. Its data ends with its Pod, which nobody deletes. */
export function postgres(): KubeObject[] {
  const setUp = [
    'set -e',
    `printf %s ${superuser.password} >/tmp/password`,
    `initdb -D /data/pg --username ${superuser.name} --pwfile /tmp/password --auth scram-sha-256 --encoding UTF8 \\`,
    '  --locale-provider builtin --builtin-locale C.UTF-8 --locale C',
    "echo 'host all all all scram-sha-256' >>/data/pg/pg_hba.conf",
    "echo 'create database penstock;' | postgres --single -D /data/pg postgres",
  ].join('\n');
  const securityContext = { runAsUser: 999, runAsGroup: 999, fsGroup: 999 };
  const volumeMounts = [
    { name: 'data', mountPath: '/data' },
    { name: 'tmp', mountPath: '/tmp' },
  ];
  const flags = { listen_addresses: '*', unix_socket_directories: '', max_connections: '200' };
  return server(
    'postgres',
    {
      image,
      command: [
        ...['/postgres/bin/postgres', '-D', '/data/pg'],
        ...Object.entries(flags).flatMap(([name, value]) => ['-c', `${name}=${value}`]),
      ],
      readinessProbe: { tcpSocket: { port: 5432 }, periodSeconds: 1 },
      resources: { requests: { cpu: '50m', memory: '128Mi' } },
      volumeMounts,
    },
    {
      port: 5432,
      securityContext,
      initContainers: [
        { name: 'initdb', image, imagePullPolicy: 'Never', command: ['/bin/sh', '-c', setUp], volumeMounts },
      ],
      volumes: [
        { name: 'data', emptyDir: {} },
        { name: 'tmp', emptyDir: {} },
      ],
    },
  );
}
