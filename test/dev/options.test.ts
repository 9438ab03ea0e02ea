import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { parseOptions, parseScale, root } from '../../dev/stack/options.ts';

test('without arguments the stack is the one that the contract describes', () => {
  assert.deepEqual(parseOptions([]), {
    folder: join(root, '.penstock'),
    port: 8_080,
    counts: { router: 1, gateway: 2, 'command-handler': 1, projector: 1 },
    brokers: undefined,
    partitions: undefined,
    fresh: false,
    app: join(root, 'apps/bank'),
    tls: false,
  });
});

test('every option is read', () => {
  const args =
    '--port 9000 --gateways 4 --routers 2 --handlers 3 --projectors 0 --brokers 3 --partitions 6 --fresh --app apps/bank --tls --folder /tmp/x';
  assert.deepEqual(parseOptions(args.split(' ')), {
    folder: '/tmp/x',
    port: 9_000,
    counts: { router: 2, gateway: 4, 'command-handler': 3, projector: 0 },
    brokers: 3,
    partitions: 6,
    fresh: true,
    app: join(root, 'apps/bank'),
    tls: true,
  });
});

const refused: readonly (readonly [args: string, because: RegExp])[] = [
  ['--prot 1', /--prot.*usage: npm start/],
  ['extra', /extra.*usage: npm start/],
  ['--port', /--port.*usage: npm start/],
  ['--port abc', /--port must be a whole number from 1 to 65535, not "abc"/],
  ['--port 0', /--port must/],
  ['--port 65536', /--port must/],
  ['--port 80.5', /--port must/],
  ['--port=-1', /--port must/],
  ['--gateways 0', /--gateways must be a whole number from 1/],
  ['--routers 0', /--routers must/],
  ['--handlers 1e1', /--handlers must/],
  ['--brokers 2', /--brokers must be 1 or 3/],
  ['--brokers 4', /--brokers must/],
  ['--partitions 0', /--partitions must/],
  ['--fresh=yes', /--fresh.*usage/],
  ['--app apps/none', /--app apps\/none: no schema.graphql in .*apps\/none/],
];

for (const [args, because] of refused) {
  test(`"${args}" is refused in one line that says why`, () => {
    assert.throws(
      () => parseOptions(args.split(' ')),
      (error: Error) => {
        assert.equal(error.name, 'Trouble');
        assert.match(error.message, because);
        assert.doesNotMatch(error.message, /\n/);
        return true;
      },
    );
  });
}

test('scale takes several services at once, and the last word on each', () => {
  assert.deepEqual(parseScale(['gateway=3', 'command-handler=0']), { gateway: 3, 'command-handler': 0 });
  assert.deepEqual(parseScale(['router=1', 'router=2']), { router: 2 });
});

for (const args of [
  [],
  ['gateway'],
  ['gateway='],
  ['gateway=x'],
  ['gateway=-1'],
  ['gateway=1=2'],
  ['broker=1'],
  ['gateway=65'],
]) {
  test(`scale refuses ${JSON.stringify(args)}`, () => {
    assert.throws(() => parseScale(args), { name: 'Trouble' });
  });
}
