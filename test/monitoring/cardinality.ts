/** The label sets of each metric, as text: without what tells a histogram's buckets apart, so that a histogram counts once. */
export type Exposition = ReadonlyMap<string, ReadonlySet<string>>;

/** Reads Prometheus' text format, as far as series go; of several processes, what they have together. */
export function seriesOf(texts: readonly string[]): Exposition {
  const found = new Map<string, Set<string>>();
  for (const line of texts.join('\n').split('\n')) {
    const [, name, labels = ''] = /^([a-zA-Z_:][\w:]*)(\{.*\})? \S+$/.exec(line) ?? [];
    if (name === undefined) continue;
    const known = found.get(name) ?? new Set();
    found.set(name, known.add(labels.replace(/\b(?:le|quantile)="[^"]*",?/, '')));
  }
  return found;
}

/**
 * Returns the metrics with more new label sets than a quarter of the users that came between two scrapes. What does not depend on users
 * may still show a label for the first time in between.
 */
export function grownWithUsers(before: Exposition, after: Exposition, users: number): string[] {
  return [...after]
    .filter(([name, series]) => series.size - (before.get(name)?.size ?? 0) > users / 4)
    .map(([name, series]) => `${name}: ${before.get(name)?.size ?? 0} → ${series.size}`);
}
