/** Imported before a test file: every property that does not say how often it runs, runs so often. See test/simulate.ts. */
import fc from 'fast-check';

fc.configureGlobal({ numRuns: Number(process.env.TEST_SCHEDULES) });
