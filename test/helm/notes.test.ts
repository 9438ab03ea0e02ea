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
  const cases: [Values, RegExp[]][] = [
    [
      {
        ...{ app: { existingConfigMap: 'own' }, migrations: { enabled: false }, networkPolicy: { enabled: false } },
        kafka: { ...kafka, partitions: 1, createTopics: true, replicationFactor: 1 },
        redis: { url: 'redis://:secret@redis:6379' },
        auth: { local: { signUp: true, roles: { a: ['b'] } } },
        router: { replicas: 1, env: [{ name: 'PENSTOCK_REDIS_URL', value: 'redis://r' }] },
        ingress: { enabled: true, hosts: ['h'] },
      },
      [
        ...[/router\.trustedProxies is empty/, /ingress\.tls is empty/, /end a WebSocket after 60 s/],
        ...[/whoever takes such a name first/, /Kafka are not encrypted/, /redis\.url holds a password/],
        ...[/router\.env has the value of PENSTOCK_REDIS_URL/, /replication factor 1/, /projectors before gateways/],
        ...[/rollout restart deploy -l app\.kubernetes\.io\/instance=shop/, /router\.replicas is 1/],
        ...[/gateway\.replicas is 2, but only 1 partitions/, /networkPolicy\.enabled is false/],
      ],
    ],
    [
      {
        ...{ app: { schema: 'type Query { _: Boolean }' }, networkPolicy: { enabled: true } },
        kafka: { ...kafka, sasl: { mechanism: 'plain', existingSecret: 's' } },
        auth: { local: { signUp: true } },
      },
      [
        ...[/anybody can sign up \(/, /kafka\.sasl is set without/, /kafka\.createTopics is false/],
        ...[/no command handlers run/, /check that brokers advertise no others/],
      ],
    ],
    [
      { gateway: { autoscaling: { enabled: true } }, commandHandler: { autoscaling: { enabled: true } } },
      [/adapter that serves penstock_gateway_connections/, /adapter that serves penstock_consumer_lag/],
    ],
  ];
  const quiet = await notesOf({
    kafka: { ...kafka, tls: { enabled: true }, createTopics: true },
    networkPolicy: { enabled: true, egress: [{ to: [] }] },
  });
  assert.doesNotMatch(quiet, /WARNING/);
  for (const [values, warnings] of cases) {
    const notes = await notesOf(values);
    for (const warning of warnings) assert.match(notes, warning);
  }
});
