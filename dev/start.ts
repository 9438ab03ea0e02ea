/** `npm start`: the whole stack on this machine. */
import { main } from './stack/main.ts';
import { parseOptions } from './stack/options.ts';
import { runStack } from './stack/run.ts';
import { reportToStderr } from './stack/trouble.ts';

await main(signal =>
  runStack(parseOptions(process.argv.slice(2)), {
    env: process.env,
    report: reportToStderr,
    onReady: url => process.stdout.write(`ready ${url}\n`),
    signal,
    withServices: true,
  }),
);
