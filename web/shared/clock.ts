import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';

/** Returns the time, which moves on while the component is shown. @param everyMs how often; undefined: it stands still. */
export function useClock(everyMs: number | undefined): ReadonlySignal<number> {
  const nowMs = useSignal(Date.now());
  useEffect(() => {
    nowMs.value = Date.now();
    if (everyMs === undefined) return undefined;
    const timer = setInterval(() => {
      nowMs.value = Date.now();
    }, everyMs);
    return () => clearInterval(timer);
  }, [everyMs, nowMs]);
  return nowMs;
}
