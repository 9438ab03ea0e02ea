/** Collects a statement's parameters while its text is put together. */
export class Parameters {
  readonly values: unknown[] = [];

  /** `$n::type` */
  add(value: unknown, type: string): string {
    this.values.push(value);
    return `$${this.values.length}::${type}`;
  }
}
