/** `npm run bench -- [scenario] [options]`; each scenario's file says what it measures and which options it has. */
const scenarios: Readonly<Record<string, () => Promise<unknown>>> = {
  commands: () => import('./run.ts'),
  herd: () => import('./herd.ts'),
  deliveries: () => import('./deliveries.ts'),
  'hot-key': () => import('./hot-key.ts'),
  'stopped-readers': () => import('./stopped-readers.ts'),
};

const [first = '', ...others] = process.argv.slice(2);
const scenario = first.startsWith('-') || first === '' ? 'commands' : first;
const run = scenarios[scenario];
if (run === undefined) throw new Error(`no scenario ${scenario}: there are ${Object.keys(scenarios).join(', ')}`);
process.argv = process.argv.slice(0, 2).concat(scenario === first ? others : process.argv.slice(2));
await run();

export {};
