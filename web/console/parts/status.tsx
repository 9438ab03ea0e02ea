import type { Instance } from '../fleet/types.ts';
import { age } from '../format.ts';

const tones = { READY: 'good', NOT_READY: 'bad', DRAINING: 'warn', GONE: 'bad' } as const;
const texts = { READY: 'ready', NOT_READY: 'not ready', DRAINING: 'draining', GONE: 'gone' } as const;

/** Whether a process is ready, and why it is not. */
export function Status({ instance }: { instance: Instance }) {
  const { status, reasons, isSilent, ageMs } = instance;
  if (isSilent) return <span class="badge bad">silent for {age(ageMs)}</span>;
  return (
    <>
      <span class={`badge ${tones[status]}`}>{texts[status]}</span>
      {reasons.map(({ part, reason }) => (
        <span key={part} class="reason soft">
          {part}: {reason}
        </span>
      ))}
    </>
  );
}
