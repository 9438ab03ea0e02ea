import { type ASTNode, type GraphQLError, getLocation } from 'graphql';

/** One contradiction in a schema, and where: `line` and `column` count from 1. */
export interface SchemaProblem {
  file: string;
  line: number;
  column: number;
  message: string;
}

/** A schema that cannot be served, with everything that is wrong with it. */
export class SchemaError extends Error {
  readonly problems: readonly SchemaProblem[];

  constructor(problems: readonly SchemaProblem[]) {
    super(problems.map(({ file, line, column, message }) => `${file}:${line}:${column}: ${message}`).join('\n'));
    this.name = 'SchemaError';
    this.problems = problems;
  }
}

/** A node of a parsed schema, or nothing where graphql-js could not tell; then the file's start is named. */
export type Place = ASTNode | null | undefined;

/** Collects what is wrong while a schema is compiled, so that all of it can be told at once. */
export class Problems {
  readonly #file: string;
  readonly #found = new Map<string, SchemaProblem>();

  constructor(file: string) {
    this.#file = file;
  }

  get any(): boolean {
    return this.#found.size > 0;
  }

  add(place: Place, message: string): void {
    this.#put(this.#locate(place), message);
  }

  /** For what may only be the consequence of a problem that was already found at the same place. */
  addUnlessKnown(place: Place, message: string): void {
    const at = this.#locate(place);
    const known = [...this.#found.values()].some(({ line, column }) => line === at.line && column === at.column);
    if (!known) this.#put(at, message);
  }

  /** What graphql-js found: its first location that lies in the app's own text. */
  addError(error: GraphQLError): void {
    const node = error.nodes?.find(({ loc }) => loc?.source.name === this.#file);
    const [first] = error.source?.name === this.#file ? (error.locations ?? []) : [];
    this.#put(node ? this.#locate(node) : { line: first?.line ?? 1, column: first?.column ?? 1 }, error.message);
  }

  /** In the order of the text. */
  sorted(): readonly SchemaProblem[] {
    return [...this.#found.values()].sort(
      (a, b) => a.line - b.line || a.column - b.column || (a.message < b.message ? -1 : 1),
    );
  }

  #locate(place: Place): { line: number; column: number } {
    // A definition begins with its description; its name is what is meant.
    const node = place && 'description' in place && place.description && 'name' in place ? place.name : place;
    const location = node?.loc;
    if (!location || location.source.name !== this.#file) return { line: 1, column: 1 };
    return getLocation(location.source, location.start);
  }

  #put({ line, column }: { line: number; column: number }, message: string): void {
    const problem = { file: this.#file, line, column, message };
    this.#found.set(`${line}:${column}:${message}`, problem);
  }
}
