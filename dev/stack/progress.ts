import type { Report } from './trouble.ts';

/**
 * Reports how it goes while something takes its time, so that nobody takes it for stuck.
 * @param line of what is reported; it is given the seconds that have passed.
 */
export async function tellWhile<Result>(
  work: Promise<Result>,
  report: Report,
  line: (seconds: number) => string,
  everyMs = 3_000,
): Promise<Result> {
  const startedMs = performance.now();
  const timer = setInterval(() => report(line(Math.round((performance.now() - startedMs) / 1_000))), everyMs);
  try {
    return await work;
  } finally {
    clearInterval(timer);
  }
}
