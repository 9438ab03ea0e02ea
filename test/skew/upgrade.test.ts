// runs apart: it has a stack of its own, and mostly waits for its processes to be replaced
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { writeApp } from '../chaos/app.ts';
import { underLoad } from '../chaos/chaos.ts';
import { tableOf, violationsOf } from '../chaos/report.ts';
import { newFolder, startStack } from '../support/stack.ts';
import { openPreviousRelease, whyNoPreviousRelease } from './previous.ts';
import { rolling } from './rolling.ts';

const first = ['gateway-0', 'router-0', 'command-handler-0', 'projector-0'];
const others = ['gateway-1', 'router-1', 'command-handler-1', 'projector-1'];

test('a rolling upgrade from the previous release and the way back lose nothing', {
  skip: whyNoPreviousRelease(),
}, async () => {
  const previous = openPreviousRelease();
  const folder = newFolder();
  const old = { folder: previous.folder, app: writeApp(join(folder, 'previous-app'), previous.folder) };
  const lines: string[] = [];
  try {
    const stack = await startStack({
      ...{ gateways: 2, routers: 2, handlers: 2, projectors: 2, partitions: 12 },
      app: writeApp(join(folder, 'app')),
      folder: join(folder, 'stack'),
      releases: Object.fromEntries([...first, ...others].map(name => [name, old])),
    });
    try {
      const steps = [
        { name: 'new beside old', replaced: first, to: undefined },
        { name: 'all new', replaced: others, to: undefined },
        { name: 'old beside new', replaced: first, to: old },
        { name: 'all old', replaced: others, to: old },
      ];
      const load = { seed: 5, name: 'skew', clients: 40, ticksPerSecond: 60, commandsPerSecond: 5 };
      const result = await underLoad(stack, load, rolling({ stack, steps, seed: 5 }), line => lines.push(line));
      console.log(lines.join('\n'), tableOf(result));
      assert.equal(violationsOf(result), 0, `${tableOf(result)}\n${lines.join('\n')}`);
      assert.ok(result.counts.deliveries > 1_000, `only ${result.counts.deliveries} deliveries`);
    } finally {
      await stack.stop();
    }
  } finally {
    previous.remove();
    if (process.env.KEEP === undefined) rmSync(folder, { recursive: true, force: true });
    else console.log(folder);
  }
});
