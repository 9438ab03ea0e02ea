/** `graphiql` is for the page of that name alone: its editor writes style sheets into the page, and starts workers. */
export type PagePolicy = 'strict' | 'graphiql';

const policies: Readonly<Record<PagePolicy, readonly string[]>> = {
  strict: ["script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'"],
  graphiql: [
    "script-src 'self'",
    "style-src 'self' 'unsafe-inline'",
    "img-src 'self' data:",
    "font-src 'self' data:",
    "worker-src 'self' blob:",
  ],
};

/** What a page could ask a browser for, and ours never does. */
const permissions = [
  ...[
    'accelerometer',
    'browsing-topics',
    'camera',
    'display-capture',
    'geolocation',
    'gyroscope',
    'hid',
    'magnetometer',
  ],
  ...['microphone', 'midi', 'payment', 'publickey-credentials-get', 'screen-wake-lock', 'serial', 'usb'],
];

/**
 * The headers that bound what a page may do: everything comes from here, nothing stands in line, nobody frames it.
 * @param webSocket the router's own address for WebSockets: older Safaris do not count it as `'self'`.
 */
export function pageHeaders(policy: PagePolicy, webSocket: string | undefined): Readonly<Record<string, string>> {
  return {
    'content-security-policy': [
      "default-src 'none'",
      ...policies[policy],
      `connect-src 'self'${webSocket === undefined ? '' : ` ${webSocket}`}`,
      "base-uri 'none'",
      "form-action 'self'",
      "frame-ancestors 'none'",
    ].join('; '),
    'permissions-policy': permissions.map(name => `${name}=()`).join(', '),
    'referrer-policy': 'no-referrer',
    'x-frame-options': 'DENY',
    'cross-origin-opener-policy': 'same-origin',
  };
}
