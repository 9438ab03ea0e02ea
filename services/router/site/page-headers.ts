/** `graphiql` is for the page of that name alone. */
export type PagePolicy = 'strict' | 'graphiql';

const policies: Readonly<Record<PagePolicy, readonly string[]>> = {
  strict: ["script-src 'self'", "style-src 'self'", "img-src 'self' data:", "font-src 'self'"],
  // What its editor, Monaco, needs beside the strict one. Scripts stay files of ours: none of it calls for inline ones, eval or blob:.
  graphiql: [
    "script-src 'self'",
    // Monaco writes the colours of its theme and the sizes of its letters into <style> elements, and lines of text with a style of their own.
    "style-src 'self' 'unsafe-inline'",
    // The squiggles below errors, and icons, stand in the style sheet as data:.
    "img-src 'self' data:",
    // So do the fonts, Monaco's icons among them: graphiql's sheet names no file.
    "font-src 'self' data:",
    // Monaco checks and completes documents and JSON in workers, which the build makes files of ours.
    "worker-src 'self'",
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
