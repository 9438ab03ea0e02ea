import { join } from 'node:path';
import { root } from './options.ts';

export interface WelcomeParts {
  /** Where the routers are. */
  url: string;
  /** The app's folder. */
  app: string;
  /** PENSTOCK_* of the caller. */
  given: Readonly<Record<string, string>>;
}

/** Returns what `npm start` says before its last line: where to look, as whom, and what to try next. */
export function welcome({ url, app, given }: WelcomeParts): readonly string[] {
  const hasPages = given.PENSTOCK_SITE_FOLDER === undefined;
  const isBank = app === join(root, 'apps/bank');
  const lines: [name: string, text: string][] = [];
  if (hasPages && isBank) lines.push(['bank', `${url}/`]);
  if (hasPages) lines.push(['console', `${url}/console (as operator)`]);
  if (hasPages && given.PENSTOCK_SITE_GRAPHIQL !== 'false') lines.push(['GraphiQL', `${url}/graphiql`]);
  const isOpen = given.PENSTOCK_AUTH_LOCAL_SIGN_UP !== 'false' && given.PENSTOCK_AUTH_JWKS_URL === undefined;
  if (isOpen) {
    const roles = given.PENSTOCK_AUTH_LOCAL_ROLES === undefined ? '; operator and auditor have roles' : '';
    lines.push(['users', `alice, bob, any name: the first password signs it up${roles}`]);
  }
  lines.push(['next', 'npm run scale -- gateway=3 (one gateway more, while the pages are open)']);
  return lines.map(([name, text]) => `  ${name.padEnd(8)}  ${text}`);
}
