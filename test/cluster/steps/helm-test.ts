import { release } from '../objects/bank.ts';
import { appNamespace } from '../objects/types.ts';
import type { Step } from './types.ts';

export const helmTest: Step = {
  name: 'helm test',
  planned: true,
  async run({ cluster }) {
    const said = await cluster.helm('test', release, '-n', appNamespace, '--timeout', '120s');
    const passed = said.match(/Phase:\s+Succeeded/g)?.length ?? 0;
    if (passed === 0) throw new Error('the chart has no test');
    return `${passed} passed`;
  },
};
