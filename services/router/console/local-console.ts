import { z } from 'zod';
import type { AccessTokenVerifier } from '../../../lib/auth/index.ts';
import { messageOf, PenstockError } from '../../../lib/errors.ts';
import { answerJson, HttpRefusal } from '../answers.ts';
import { readBody } from '../body.ts';
import type { HttpHandler } from '../graphql-http.ts';
import { bearerToken } from '../request-target.ts';

/** Who may look at the console, and kill a gateway in the local stack. */
const role = 'operator';
const maxBodyBytes = 1_024;
/** The local stack answers within moments, ms. */
const controlTimeoutMs = 5_000;

const order = z.strictObject({ instance: z.string().max(200).optional() });
const killed = z.object({ killed: z.string() });

/** What the console's page asks the router for itself. */
export interface LocalConsole {
  /** `GET /console/settings`: whether this is the local stack. */
  settings: HttpHandler;
  /** `POST /console/local/kill` `{"instance"?}`; undefined everywhere but in the local stack. */
  kill: HttpHandler | undefined;
}

/** @param control where the local stack takes orders. */
export function localConsole(access: AccessTokenVerifier, control: string | undefined): LocalConsole {
  const asOperator =
    (handler: HttpHandler): HttpHandler =>
    async (request, response, target) => {
      const { roles } = await access.verify(bearerToken(request.headers.authorization));
      if (!roles.includes(role)) throw new PenstockError('FORBIDDEN', `this needs the role ${role}`);
      await handler(request, response, target);
    };
  return {
    settings: asOperator(async (_request, response) => answerJson(response, 200, { local: control !== undefined })),
    kill:
      control === undefined
        ? undefined
        : asOperator(async (request, response) => {
            const body = await readBody(request, maxBodyBytes, 'PENSTOCK_GATEWAY_MAX_REQUEST_BYTES');
            answerJson(response, 200, await kill(control, orderOf(body)));
          }),
  };
}

function orderOf(body: Buffer): z.infer<typeof order> {
  try {
    return order.parse(body.length === 0 ? {} : JSON.parse(body.toString()));
  } catch {
    throw new PenstockError('BAD_USER_INPUT', 'the body must be {"instance": "<name of a gateway>"}, or empty');
  }
}

/** @throws HttpRefusal with what the local stack says. */
async function kill(control: string, what: z.infer<typeof order>): Promise<z.infer<typeof killed>> {
  const signal = AbortSignal.timeout(controlTimeoutMs);
  const body = JSON.stringify(what);
  const response = await fetch(control, { method: 'POST', body, signal }).catch((error: unknown) => {
    throw new HttpRefusal(503, 'UNAVAILABLE', `the local stack does not answer: ${messageOf(error)}`);
  });
  if (response.ok) return killed.parse(await response.json());
  throw new HttpRefusal(409, 'BAD_USER_INPUT', (await response.text()).slice(0, 200));
}
