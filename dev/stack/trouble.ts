/** A reason not to start that the user can do something about: printed as one line, exit code 1. */
export class Trouble extends Error {
  override readonly name = 'Trouble';
}

/** What the stack says while it works. stdout is kept for the line `ready …`. */
export type Report = (line: string) => void;

export const reportToStderr: Report = line => {
  process.stderr.write(`${line}\n`);
};
