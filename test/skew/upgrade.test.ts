// runs apart: it has a stack of its own, and mostly waits for its processes to be replaced
import assert from 'node:assert/strict';
import { cpSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import type { Release } from '../../dev/stack/folder.ts';
import { writeApp } from '../chaos/app.ts';
import { type ChaosResult, underLoad } from '../chaos/chaos.ts';
import { tableOf, violationsOf } from '../chaos/report.ts';
import { newFolder, startStack } from '../support/stack.ts';
import { openPreviousRelease, whyNoPreviousRelease } from './previous.ts';
import { type Resumed, rolling } from './rolling.ts';

const first = ['gateway-0', 'router-0', 'command-handler-0', 'projector-0'];
const others = ['gateway-1', 'router-1', 'command-handler-1', 'projector-1'];
type Step = 'new beside old' | 'all new' | 'old beside new' | 'all old';
const skip = whyNoPreviousRelease();

test('G24: a rolling upgrade from the previous release and the way back lose nothing', { skip }, async () => {
  const previous = openPreviousRelease();
  const folder = newFolder();
  const lines: string[] = [];
  try {
    const app = writeApp(join(folder, 'previous-app'), previous.folder);
    const { result, resumed } = await upgradeAndBack(folder, { folder: previous.folder, app }, lines);
    const report = `${tableOf(result)}\n${lines.join('\n')}`;
    const isClean = violationsOf(result) === 0;
    if (!isClean) cpSync(join(folder, 'stack/logs'), join(folder, '../logs-of-skew'), { recursive: true });
    assert.ok(isClean, report);
    assert.ok(result.counts.deliveries > 1_000, `only ${result.counts.deliveries} deliveries`);
    // Clients that come back have cursors of the other release, and find its entries in Redis where a gateway has no records in memory.
    const redisIn = (...steps: readonly Step[]) =>
      steps.reduce((sum, step) => sum + (resumed.get(step)?.redis ?? 0), 0);
    assert.ok(redisIn('new beside old', 'all new') > 0, `on the way up nothing came from Redis\n${report}`);
    assert.ok(redisIn('old beside new', 'all old') > 0, `on the way back nothing came from Redis\n${report}`);
  } finally {
    previous.remove();
    rmSync(folder, { recursive: true, force: true });
  }
});

/** Takes a stack of old processes through four steps. */
async function upgradeAndBack(
  folder: string,
  old: Release,
  lines: string[],
): Promise<{ result: ChaosResult; resumed: ReadonlyMap<string, Resumed> }> {
  const stack = await startStack({
    ...{ gateways: 2, routers: 2, handlers: 2, projectors: 2, partitions: 12 },
    app: writeApp(join(folder, 'app')),
    folder: join(folder, 'stack'),
    releases: Object.fromEntries([...first, ...others].map(name => [name, old])),
  });
  const resumed = new Map<string, Resumed>();
  try {
    const steps = [
      { name: 'new beside old', replaced: first, to: undefined },
      { name: 'all new', replaced: others, to: undefined },
      { name: 'old beside new', replaced: first, to: old },
      { name: 'all old', replaced: others, to: old },
    ];
    const load = { seed: 5, name: 'skew', clients: 30, ticksPerSecond: 50, commandsPerSecond: 5 };
    const ordeal = rolling({ stack, from: old, steps, seed: 5, onDone: ({ name }, tiers) => resumed.set(name, tiers) });
    const result = await underLoad(stack, load, ordeal, line => lines.push(line));
    for (const [step, tiers] of resumed) lines.push(`${step}: resumed from ${JSON.stringify(tiers)}`);
    return { result, resumed };
  } finally {
    await stack.stop();
  }
}
