/**
 * Returns the content coding to answer with, of those that there are, the best first (RFC 9110, 12.5.3); undefined: none.
 * A coding with `q=0` is refused; among the others the order here decides, since every client that names one can decode it.
 */
export function preferredEncoding<Encoding extends string>(
  header: string | undefined,
  available: Iterable<Encoding>,
): Encoding | undefined {
  const accepted = new Map<string, boolean>();
  for (const item of (header ?? '').split(',')) {
    const [name = '', ...parameters] = item.split(';').map(part => part.trim().toLowerCase());
    const isRefused = parameters.some(parameter => /^q=0(\.0{0,3})?$/.test(parameter));
    if (name !== '') accepted.set(name, !isRefused);
  }
  for (const encoding of available) {
    if (accepted.get(encoding) ?? accepted.get('*') ?? false) return encoding;
  }
  return undefined;
}
