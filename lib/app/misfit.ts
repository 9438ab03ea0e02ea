/** A value that doesn't fit its type. Reasons name fields and kinds, never values: they go to logs and headers. */
export class Misfit {
  readonly path: string;
  readonly reason: string;

  constructor(reason: string, path = '') {
    this.reason = reason;
    this.path = path;
  }

  /** The same, seen from the object or list around it. */
  under(step: string): Misfit {
    const separator = this.path === '' || this.path.startsWith('[') ? '' : '.';
    return new Misfit(this.reason, `${step}${separator}${this.path}`);
  }

  toString(): string {
    return this.path === '' ? this.reason : `field ${this.path} ${this.reason}`;
  }
}

/** What kind of JSON value was met, for a reason. */
export function jsonKind(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'an object';
  if (typeof value !== 'number') return `a ${typeof value}`;
  if (!Number.isFinite(value)) return 'a number out of range';
  if (!Number.isInteger(value)) return 'a fractional number';
  return Math.abs(value) >= 2 ** 31 ? 'a large integer' : 'an integer';
}
