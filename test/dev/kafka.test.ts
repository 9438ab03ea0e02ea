import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type KafkaCluster, newClusterId, nodeProperties } from '../../dev/servers/kafka.ts';

const node = (id: number) => ({ id, port: 20_000 + id, controllerPort: 21_000 + id });
const cluster = (nodes: number, tls: KafkaCluster['tls']): KafkaCluster => ({
  clusterId: 'c',
  folder: '/data',
  jarsFolder: '/jars',
  nodes: Array.from({ length: nodes }, (_, index) => node(index + 1)),
  partitions: 24,
  tls,
});

function propertiesOf(of: KafkaCluster, id: number): Record<string, string> {
  const lines = nodeProperties(of, node(id)).trimEnd().split('\n');
  return Object.fromEntries(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]));
}

test('one broker keeps one copy, three keep three, of which two must have a record', () => {
  const copies = (of: KafkaCluster) => {
    const properties = propertiesOf(of, 1);
    return [properties['default.replication.factor'], properties['min.insync.replicas']];
  };
  assert.deepEqual(copies(cluster(1, undefined)), ['1', '1']);
  assert.deepEqual(copies(cluster(3, undefined)), ['3', '2']);
});

test('the nodes of a cluster know each other and listen on loopback only', () => {
  const properties = propertiesOf(cluster(3, undefined), 2);
  assert.equal(properties['node.id'], '2');
  assert.equal(properties['controller.quorum.voters'], '1@127.0.0.1:21001,2@127.0.0.1:21002,3@127.0.0.1:21003');
  assert.equal(properties.listeners, 'PLAINTEXT://127.0.0.1:20002,CONTROLLER://127.0.0.1:21002');
  assert.equal(properties['log.dirs'], '/data/node-2');
});

test('with TLS no listener speaks anything else, for clients, brokers and controllers', () => {
  const tls = { caFile: '/tls/ca.pem', keyStore: '/tls/brokers.p12', password: 'p' };
  const properties = propertiesOf(cluster(3, tls), 1);
  assert.equal(properties.listeners, 'SSL://127.0.0.1:20001,CONTROLLER://127.0.0.1:21001');
  assert.equal(properties['listener.security.protocol.map'], 'SSL:SSL,CONTROLLER:SSL');
  assert.equal(properties['inter.broker.listener.name'], 'SSL');
  assert.equal(properties['ssl.truststore.location'], '/tls/ca.pem');
  assert.doesNotMatch(nodeProperties(cluster(3, tls), node(1)), /PLAINTEXT/);
});

test('a cluster id does not start with a dash, which would make it an option', () => {
  const bytes = [Buffer.alloc(16, 0xf8), Buffer.alloc(16, 1)];
  assert.equal(bytes[0]?.toString('base64url')[0], '-');
  assert.equal(
    newClusterId(() => bytes.shift() ?? Buffer.alloc(0)),
    Buffer.alloc(16, 1).toString('base64url'),
  );
});
