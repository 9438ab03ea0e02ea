/** `npm start`: the whole stack on this machine. */
import { penstockVariables } from './stack/environment.ts';
import { main } from './stack/main.ts';
import { parseOptions } from './stack/options.ts';
import { runStack } from './stack/run.ts';
import { reportToStderr } from './stack/trouble.ts';
import { welcome } from './stack/welcome.ts';

await main(signal => {
  const options = parseOptions(process.argv.slice(2));
  return runStack(options, {
    env: process.env,
    report: reportToStderr,
    onReady(url) {
      const lines = welcome({ url, app: options.app, given: penstockVariables(process.env) });
      process.stdout.write(`${[...lines, `ready ${url}`].join('\n')}\n`);
    },
    signal,
    withServices: true,
  });
});
