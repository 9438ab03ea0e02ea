// starts first: it runs the test of each mutant
import { logWatches } from './log-watches.ts';
import { testWatches } from './watches.ts';

testWatches(logWatches);
