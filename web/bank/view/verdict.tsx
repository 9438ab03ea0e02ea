import type { ReadonlySignal } from '@preact/signals';
import type { Verdict } from '../model/counter.ts';

const tones: Readonly<Record<Verdict['kind'], string>> = { pending: '', done: 'good', refused: 'bad' };

/** What became of the last order: the page's one element of role `status`. It is always there, so that screen readers watch it. */
export function VerdictLine({ verdict }: { verdict: ReadonlySignal<Verdict | undefined> }) {
  const shown = verdict.value;
  return (
    <p role="status" class={shown === undefined ? 'verdict' : `verdict notice ${tones[shown.kind]}`}>
      {shown?.text}
    </p>
  );
}
