import type { BrowserContext } from 'playwright-core';

/**
 * Something that no page of ours may do: log an error, throw, break its Content-Security-Policy, or send a request to
 * somebody else.
 */
export interface Complaint {
  kind: 'console' | 'thrown' | 'policy' | 'request';
  text: string;
}

const binding = 'penstockTestPolicyViolation';

/** Listens in each document before any script of the page runs. */
const reportViolations = `document.addEventListener('securitypolicyviolation', violation =>
  window.${binding}(violation.violatedDirective + ' blocks ' + violation.blockedURI + ' in ' + violation.sourceFile))`;

/** Tells what goes wrong in any page of the context, from now on. */
export async function watchPage(
  context: BrowserContext,
  origins: readonly string[],
  complain: (complaint: Complaint) => void,
): Promise<void> {
  const checkOrigin = (url: string) => {
    const { protocol, origin } = new URL(url.replace(/^ws/, 'http'));
    // What the page itself holds: data:, blob:, about:.
    if (/^https?:$/.test(protocol) && !origins.includes(origin)) complain({ kind: 'request', text: url });
  };
  context.on('console', message => {
    if (message.type() !== 'error') return;
    const { url } = message.location();
    complain({ kind: 'console', text: `${message.text()}${url && ` (${url})`}` });
  });
  context.on('weberror', thrown => {
    // What is thrown and is no Error has no stack.
    const { stack, message } = thrown.error();
    complain({ kind: 'thrown', text: stack || message });
  });
  context.on('request', request => checkOrigin(request.url()));
  context.on('page', page => page.on('websocket', socket => checkOrigin(socket.url())));
  await context.exposeBinding(binding, (_source, text: unknown) => complain({ kind: 'policy', text: String(text) }));
  await context.addInitScript(reportViolations);
}
