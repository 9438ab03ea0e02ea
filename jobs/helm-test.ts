/**
 * `node jobs/helm-test.js --url http://<router> (--bank | --schema FILE) [--token-file FILE] [--timeout-seconds 60]`: what `helm test` runs.
 * It asks as a client does: over the router's Service, with an access token from a file or of a user that it signs up. With `--bank`
 * it subscribes, sends a command, and waits for its feedback and its event; else it subscribes to a field of the schema and
 * waits for the first cursor. Each step is a line on stdout; the exit code is 0 when all of them have succeeded.
 */
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { loadApp } from '../lib/app/index.ts';
import { testBank } from './helm-test/bank.ts';
import { signUp } from './helm-test/login.ts';
import { testSchema } from './helm-test/schema.ts';
import { openSession } from './helm-test/session.ts';
import { runJob } from './run-job.ts';

const usage = 'usage: helm-test.js --url URL (--bank | --schema FILE) [--token-file FILE] [--timeout-seconds 60]';

runJob('helm-test', async () => {
  const { values } = parseArgs({
    options: {
      url: { type: 'string' },
      bank: { type: 'boolean', default: false },
      schema: { type: 'string' },
      'token-file': { type: 'string' },
      'timeout-seconds': { type: 'string', default: '60' },
    },
  });
  const { url, bank, schema, 'token-file': tokenFile } = values;
  const timeoutMs = Number(values['timeout-seconds']) * 1_000;
  if (url === undefined || bank === (schema !== undefined) || !(timeoutMs > 0)) throw new Error(usage);
  const deadline = AbortSignal.timeout(timeoutMs);
  const say = (line: string) => void process.stdout.write(`${line}\n`);

  say(`router ${url}`);
  const accessToken =
    tokenFile === undefined ? await signUp(url, deadline, say) : readFileSync(tokenFile, 'utf8').trim();
  const session = openSession({ url, accessToken, deadline, say });
  try {
    if (schema === undefined) await testBank(session);
    else await testSchema(session, await loadApp(schema));
  } finally {
    session.close();
  }
  say('passed');
});
