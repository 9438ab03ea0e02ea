/** `npm run scale -- gateway=3 …`: changes the number of a service's processes in the stack that runs. */
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { readIfThere, replaceJson } from './stack/files.ts';
import { filesOf, readDown } from './stack/folder.ts';
import { main } from './stack/main.ts';
import { parseScale, root, type Scale, type Service, scaleShape } from './stack/options.ts';
import { readStackFile, type StackFile } from './stack/stack-file.ts';
import { Trouble } from './stack/trouble.ts';

const withinMs = 60_000;

await main(async signal => {
  const { values, positionals } = parseArgs({ options: { folder: { type: 'string' } }, allowPositionals: true });
  const folder = values.folder ?? join(root, '.penstock');
  const files = filesOf(folder);
  const wanted = parseScale(positionals);
  if (readStackFile(files.stack) === undefined) throw new Trouble(`no stack runs in ${folder}`);
  const before = readIfThere(files.scale);
  replaceJson(files.scale, { ...(before ? scaleShape.parse(JSON.parse(before)) : {}), ...wanted });

  const deadline = Date.now() + withinMs;
  for (;;) {
    const stack = readStackFile(files.stack);
    if (stack === undefined) throw new Trouble('the stack has stopped meanwhile');
    const missing = await difference(stack, wanted, readDown(folder));
    if (missing === undefined) return print(stack, wanted);
    if (Date.now() > deadline) throw new Trouble(`not done within ${withinMs / 1_000} s: ${missing}`);
    await sleep(200, undefined, { signal });
  }
});

/** What is still not as wanted, or nothing. */
async function difference(stack: StackFile, wanted: Scale, down: ReadonlySet<string>): Promise<string | undefined> {
  for (const [service, count] of Object.entries(wanted) as [Service, number][]) {
    const names = Array.from({ length: count }, (_, index) => `${service}-${index}`).filter(name => !down.has(name));
    const present = stack.processes.filter(process => process.service === service);
    const tooMany = present.find(process => !names.includes(process.name));
    if (tooMany !== undefined) return `${tooMany.name} is still draining`;
    for (const name of names) {
      const process = present.find(candidate => candidate.name === name);
      if (process === undefined) return `${name} is not up`;
      if (!(await isReady(process.admin))) return `${name} is not ready`;
    }
  }
  return undefined;
}

async function isReady(admin: string): Promise<boolean> {
  const response = await fetch(`${admin}/readyz`, { signal: AbortSignal.timeout(5_000) }).catch(() => undefined);
  await response?.body?.cancel();
  return response?.ok ?? false;
}

function print(stack: StackFile, wanted: Scale): void {
  for (const service of Object.keys(wanted)) {
    const present = stack.processes.filter(process => process.service === service);
    process.stdout.write(`${service}=${present.length}\n`);
    for (const { name, pid, url } of present) process.stdout.write(`  ${name} ${url} (pid ${pid})\n`);
  }
}
