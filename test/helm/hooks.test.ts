import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Rendered, render, withoutHelm as skip } from '../support/chart.ts';

const weightOf = ({ metadata }: Rendered) => Number(metadata.annotations?.['helm.sh/hook-weight']);
const isBeforeRelease = ({ metadata }: Rendered) =>
  metadata.annotations?.['helm.sh/hook'] === 'pre-install,pre-upgrade';
const createsTopics = { kafka: { brokers: ['k:1'], createTopics: true } };

test('tables and topics are set up before anything of the release is there', { skip }, async () => {
  const chart = await render({
    ...createsTopics,
    app: { schema: 'type Query { _: Boolean }' },
    serviceAccount: { annotations: { a: 'b' } },
  });
  for (const [name, word] of [
    ['shop-penstock-migrate', 'tables'],
    ['shop-penstock-topics', 'topics'],
  ] as const) {
    const job = chart.one('Job', name);
    assert.ok(isBeforeRelease(job));
    assert.match(job.metadata.annotations?.['helm.sh/hook-delete-policy'] ?? '', /before-hook-creation/);
    const pod = job.spec.template.spec;
    assert.deepEqual(pod.containers[0].args, ['jobs/setup.js', word, '--services=gateway,router,projector']);
    assert.equal(pod.restartPolicy, 'Never');
    assert.ok(job.spec.activeDeadlineSeconds < 300, "Helm's own time-out would leave no reason");
    // All that its Pods name is made before it, by hooks as well, or stands already.
    const account = chart.one('ServiceAccount', pod.serviceAccountName);
    const configMap = pod.volumes.find((each: { name: string }) => each.name === 'app').configMap.name;
    for (const needed of [account, chart.one('ConfigMap', configMap)]) {
      assert.ok(isBeforeRelease(needed) && weightOf(needed) < weightOf(job), needed.metadata.name);
    }
    assert.deepEqual(account.metadata.annotations?.a, 'b');
  }
});

test('an account that exists is the one of the Jobs, too', { skip }, async () => {
  const chart = await render({ serviceAccount: { create: false, name: 'own' } });
  assert.deepEqual(chart.all('ServiceAccount'), []);
  assert.equal(chart.one('Job').spec.template.spec.serviceAccountName, 'own');
});

test('each Job is there only where it is wanted, and nothing of it otherwise', { skip }, async () => {
  const jobs = async (values: object) =>
    (await render(values as never)).all('Job').map(({ metadata }) => metadata.name.replace('shop-penstock-', ''));
  assert.deepEqual(await jobs({}), ['migrate']);
  assert.deepEqual((await jobs(createsTopics)).sort(), ['migrate', 'topics']);
  assert.deepEqual(await jobs({ ...createsTopics, migrations: { enabled: false } }), ['topics']);
  const neither = await render({ migrations: { enabled: false } });
  assert.deepEqual(neither.objects.filter(isBeforeRelease), []);
});

test('the set-up of an app with commands knows their tables', { skip }, async () => {
  const [container] = (await render({})).one('Job').spec.template.spec.containers;
  assert.deepEqual(container.args.at(-1), '--services=gateway,router,command-handler,projector');
  assert.ok(container.env.some((each: { name: string }) => each.name === 'PENSTOCK_APP_FOLDER'));
});

test('helm test asks over the router, as the bank does or with the schema', { skip }, async () => {
  const url = '--url=http://shop-penstock-router.trade.svc.cluster.local:80';
  const bank = (await render({})).one('Pod');
  assert.equal(bank.metadata.annotations?.['helm.sh/hook'], 'test');
  assert.deepEqual(bank.spec.containers[0].args, ['jobs/helm-test.js', url, '--bank', '--timeout-seconds=60']);
  const other = (
    await render({ app: { existingConfigMap: 'own' }, tests: { tokenSecret: 'jwt', secretKeys: { token: 't' } } })
  ).one('Pod');
  assert.deepEqual(other.spec.containers[0].args, [
    ...['jobs/helm-test.js', url, '--schema=/etc/penstock/app/schema.graphql'],
    ...['--token-file=/etc/penstock/token/t', '--timeout-seconds=60'],
  ]);
  assert.ok(other.spec.volumes.some((each: { secret?: { secretName: string } }) => each.secret?.secretName === 'jwt'));
});
