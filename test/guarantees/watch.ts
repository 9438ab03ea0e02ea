import type { Mutant } from '../support/mutate.ts';

/** A guarantee of docs/guarantees.md, one thing broken on purpose that it rests on, and the test that must tell. */
export interface Watch extends Mutant {
  guarantee: `G${number}`;
  name: string;
  caughtBy: { file: string; test: string };
}
