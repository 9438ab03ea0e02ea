// runs apart: a stack of its own, beside which the image's services run
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { promisify } from 'node:util';
import { type Service, services } from '../../dev/stack/options.ts';
import { type ServiceContext, servesHttp, serviceVariables } from '../../dev/stack/services.ts';
import { type Container, prepareRoot, runImage } from '../support/container.ts';
import { freePorts } from '../support/free-ports.ts';
import { contentOf, type ImageConfiguration, unpackImage } from '../support/oci.ts';
import { type Stack, startStack } from '../support/stack.ts';
import { bubblewrap, withoutTools } from '../support/tools/index.ts';
import { until } from '../support/until.ts';

const run = promisify(execFile);
const skip = await withoutTools(bubblewrap);
const app = '/app/apps/bank';

let folder: string;
let root: string;
let image: ImageConfiguration;
let content: Map<string, string>;
let servers: Stack;
const containers = new Map<Service, { container: Container; admin: number }>();

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'penstock-container-'));
  await chmod(folder, 0o755); // the image's user goes through it
  root = join(folder, 'root');
  const given = process.env.TEST_IMAGE; // an archive that something else has built
  const archive = given ?? join(folder, 'penstock.tar');
  const main = join(import.meta.dirname, '../../image/main.ts');
  [servers] = await Promise.all([
    startStack({ services: false }),
    given ?? run(process.execPath, [main, '--out', archive, '--name', 'penstock:test']),
  ]);
  image = await unpackImage(archive, root);
  content = await contentOf(root);
  await prepareRoot(root);
});

after(async () => {
  for (const { container } of containers.values()) container.child.kill('SIGKILL');
  await servers?.stop();
  await rm(folder, { recursive: true, force: true });
});

const start = (args: readonly string[], env = {}) => runImage(root, image, args, env);

test('the image runs node as a user without rights, for the machine that made it', () => {
  const { config, os, architecture } = image;
  assert.deepEqual([os, architecture], ['linux', process.arch === 'x64' ? 'amd64' : process.arch]);
  assert.deepEqual(config.Entrypoint, ['/usr/local/bin/node']);
  assert.deepEqual(config.Cmd, ['services/gateway/main.js']);
  assert.deepEqual([config.User, config.WorkingDir], ['65532:65532', '/app']);
});

test('it holds one program, and no package that only development needs', () => {
  const files = [...content].filter(([, what]) => what.startsWith('file '));
  const withMode = (bits: number) => files.filter(([, what]) => (Number.parseInt(what.slice(5), 8) & bits) !== 0);
  const programs = withMode(0o111).map(([path]) => path);
  assert.deepEqual(
    programs.filter(path => !/\.so(\.|$)/.test(path)),
    ['usr/local/bin/node'],
  );
  assert.deepEqual(withMode(0o6000), [], 'setuid or setgid');
  assert.ok(content.has('app/services/gateway/main.js'));
  assert.deepEqual(
    [...content.keys()].filter(path => /node_modules|\.ts$|\/(sh|bash|npm)$/.test(path)),
    [],
  );
});

test('its root is read-only, and /tmp is not', { skip }, async () => {
  const script = `const { writeFileSync: write } = require('node:fs');
    write('/tmp/a', 'b');
    let code; try { write('/app/a', 'b'); } catch (error) { code = error.code; }
    console.log(JSON.stringify([process.pid, process.getuid(), process.getgid(), code]));`;
  const { child, said } = await start(['-e', script]);
  if (child.exitCode === null) await once(child, 'close');
  assert.deepEqual(JSON.parse(said()), [1, 65532, 65532, 'EROFS']);
});

test('each service gets ready in it', { skip }, async () => {
  const { kafka, redis, postgres } = servers;
  const [publicPort = 0] = await freePorts(1);
  const context: ServiceContext = {
    addresses: { kafka: [...kafka], kafkaCaFile: undefined, redis, postgres },
    ...{ brokers: 1, partitions: () => 6, publicPort, app, siteFolder: undefined, given: {}, env: {} },
    cursorSecrets: `k1:${Buffer.alloc(32, 7).toString('base64')}`,
  };
  for (const service of services) {
    const [admin = 0, http = 0] = await freePorts(2);
    const variables = serviceVariables(service, { admin, http: servesHttp(service) ? http : undefined }, context);
    const container = await start([`services/${service}/main.js`], { ...variables, PENSTOCK_APP_FOLDER: app });
    containers.set(service, { container, admin });
  }
  for (const [service, { container, admin }] of containers) {
    await until(`${service} is ready`, async () => {
      assert.equal(container.child.exitCode, null, container.said());
      return fetch(`http://127.0.0.1:${admin}/readyz`).then(
        ({ ok }) => ok,
        () => false,
      );
    });
  }
});

test('each service, as process 1, drains after SIGTERM and ends with code 0', { skip }, async () => {
  assert.equal(containers.size, services.length);
  for (const { container } of containers.values()) process.kill(container.pid, 'SIGTERM');
  for (const [service, { container }] of containers) {
    const { child, said } = container;
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    assert.deepEqual([child.exitCode, child.signalCode], [0, null], `${service}: ${said()}`);
  }
});
