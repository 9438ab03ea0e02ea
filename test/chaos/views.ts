import type { User } from '../support/user.ts';
import type { Ids } from './evidence.ts';
import { repeat, type TopicTruth } from './truth.ts';

const page = `query($after: String) {
  transactions(first: 100, after: $after) { edges { node { id } } pageInfo { hasNextPage endCursor } }
}`;

/** Users whose view of their transactions is not exactly what the log has for them. */
export async function viewFaults(users: ReadonlyMap<string, User>, truth: TopicTruth, ids: Ids): Promise<number> {
  const wanted = new Map<string, Set<number>>();
  for (let row = 0; row < truth.rows; row++) {
    if (((truth.flags[row] ?? 0) & repeat) !== 0) continue;
    const key = truth.keyNames[truth.keys[row] ?? -1] ?? '';
    wanted.set(key, (wanted.get(key) ?? new Set()).add(truth.ids[row] ?? 0));
  }
  let faults = 0;
  for (const [name, user] of users) {
    const shown = (await transactionsOf(user)).map(id => ids.of(truth.topic, id));
    const set = wanted.get(name) ?? new Set();
    if (shown.length !== set.size || !shown.every(id => set.has(id))) faults++;
  }
  return faults;
}

interface Page {
  edges: { node: { id: string } }[];
  pageInfo: { hasNextPage: boolean; endCursor: string };
}

async function transactionsOf(user: User): Promise<string[]> {
  const found: string[] = [];
  for (let after: string | undefined; ; ) {
    const answer = await user.post(page, { after });
    const { edges, pageInfo } = answer.data.transactions as Page;
    found.push(...edges.map(({ node }) => node.id));
    if (!pageInfo.hasNextPage) return found;
    after = pageInfo.endCursor;
  }
}
