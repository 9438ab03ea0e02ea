/** The series of a scrape by the name that they are exposed under: their label sets, as text. */
export type Exposition = ReadonlyMap<string, ReadonlySet<string>>;

/** Reads Prometheus' text format, as far as series go. */
export function seriesOf(text: string): Exposition {
  const found = new Map<string, Set<string>>();
  for (const line of text.split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_:][\w:]*)(\{.*\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const known = found.get(name);
    if (known === undefined) found.set(name, new Set([labels]));
    else known.add(labels);
  }
  return found;
}

/**
 * Returns the names with more new series than a quarter of the users that came between two scrapes. What does not depend on users may
 * still show a label for the first time in between.
 */
export function grownWithUsers(before: Exposition, after: Exposition, users: number): string[] {
  return [...after]
    .filter(([name, series]) => series.size - (before.get(name)?.size ?? 0) > users / 4)
    .map(([name, series]) => `${name}: ${before.get(name)?.size ?? 0} → ${series.size}`);
}
