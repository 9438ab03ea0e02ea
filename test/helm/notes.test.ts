import assert from 'node:assert/strict';
import { test } from 'node:test';
import { notesOf, withoutHelm as skip, type Values } from '../support/chart.ts';

const kafka = { brokers: ['k:1'] };

test('the notes say what to check, for the services that run', { skip }, async () => {
  const notes = await notesOf({ projector: { enabled: false } });
  assert.match(notes, /rollout status deploy\/shop-penstock-command-handler/);
  assert.doesNotMatch(notes, /deploy\/shop-penstock-projector/);
  assert.match(notes, /helm -n trade test shop --logs\n.*needs a Secret with an access token/);
  const ha = await notesOf('values-ha.yaml');
  assert.match(ha, /^ +https:\/\/bank\.example$/m);
});

test('the notes warn of each thing that will bite, and of nothing else', { skip }, async () => {
  const cases: [RegExp, Values][] = [
    [/router\.trustedProxies is empty/, { ingress: { enabled: true, hosts: ['h'] } }],
    [/ingress\.tls is empty/, { ingress: { enabled: true, hosts: ['h'] } }],
    [/end a WebSocket after 60 s/, { ingress: { enabled: true, hosts: ['h'] } }],
    [/whoever takes such a name first/, { auth: { local: { signUp: true, roles: { a: ['b'] } } } }],
    [/anybody can sign up \(/, { auth: { local: { signUp: true } } }],
    [/Kafka are not encrypted/, { kafka }],
    [/kafka\.sasl is set without/, { kafka: { ...kafka, sasl: { mechanism: 'plain', existingSecret: 's' } } }],
    [/redis\.url holds a password/, { redis: { url: 'redis://:secret@redis:6379' } }],
    [
      /router\.env has the value of PENSTOCK_REDIS_URL/,
      { router: { env: [{ name: 'PENSTOCK_REDIS_URL', value: 'redis://r' }] } },
    ],
    [/replication factor 1/, { kafka: { ...kafka, createTopics: true, replicationFactor: 1 } }],
    [/kafka\.createTopics is false/, { kafka }],
    [/Upgrade projectors before gateways/, { migrations: { enabled: false } }],
    [/rollout restart deploy -l app\.kubernetes\.io\/instance=shop/, { app: { existingConfigMap: 'own' } }],
    [/no command handlers run/, { app: { schema: 'type Query { _: Boolean }' } }],
    [/gateway\.replicas is 1/, { gateway: { replicas: 1 } }],
    [/networkPolicy\.enabled is false/, { networkPolicy: { enabled: false } }],
    [/check that brokers advertise no others/, { networkPolicy: { enabled: true } }],
    [/adapter that serves penstock_gateway_connections/, { gateway: { autoscaling: { enabled: true } } }],
    [/adapter that serves penstock_consumer_lag/, { commandHandler: { autoscaling: { enabled: true } } }],
  ];
  const quiet = await notesOf({
    kafka: { ...kafka, tls: { enabled: true }, createTopics: true },
    networkPolicy: { enabled: true, egress: [{ to: [] }] },
  });
  assert.doesNotMatch(quiet, /WARNING/);
  for (const [warning, values] of cases) {
    assert.match(await notesOf(values), warning);
    assert.doesNotMatch(quiet, warning);
  }
});
