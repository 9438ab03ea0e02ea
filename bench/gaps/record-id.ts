/** `<user>/<sequence>`: a record's own number among those of its user, from 0. */
export function recordId(user: string, sequence: number): string {
  return `${user}/${sequence}`;
}

/** NaN of what is no such id. */
export function sequenceOf(id: string): number {
  return Number(id.slice(id.lastIndexOf('/') + 1) || Number.NaN);
}
