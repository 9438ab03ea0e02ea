import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { z } from 'zod';

const stackShape = z.object({ kafka: z.array(z.string()), postgres: z.string() });
const probeMs = 2_000;

/**
 * The environment with the addresses of the local stack that runs in `folder` (see docs for `stack.json`), where it does
 * not name servers itself.
 */
export async function withRunningStack(
  env: Readonly<Record<string, string | undefined>>,
  folder: string,
): Promise<Record<string, string | undefined>> {
  const file = join(folder, 'stack.json');
  if (!existsSync(file)) return { ...env };
  const { kafka, postgres } = stackShape.parse(JSON.parse(readFileSync(file, 'utf8')));
  const caFile = join(folder, 'tls', 'ca.pem');
  const needsCa = env.PENSTOCK_KAFKA_BROKERS === undefined && existsSync(caFile) && (await speaksTls(kafka[0], caFile));
  return {
    PENSTOCK_KAFKA_BROKERS: kafka.join(','),
    PENSTOCK_POSTGRES_URL: postgres,
    ...(needsCa ? { PENSTOCK_KAFKA_TLS_CA_FILE: caFile } : {}),
    ...env,
  };
}

/** The keys stay in the folder when the stack runs without TLS again: only the broker can tell. */
function speaksTls(address: string | undefined, caFile: string): Promise<boolean> {
  const { hostname, port } = new URL(`tls://${address}`);
  return new Promise(resolve => {
    const socket = connect({ host: hostname, port: Number(port), ca: readFileSync(caFile), timeout: probeMs });
    const answer = (is: boolean): void => {
      socket.destroy();
      resolve(is);
    };
    socket.once('secureConnect', () => answer(true));
    socket.once('error', () => answer(false));
    socket.once('timeout', () => answer(false));
    socket.once('close', () => answer(false));
  });
}
