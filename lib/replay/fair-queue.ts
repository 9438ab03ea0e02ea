/**
 * A queue in which owners take turns: each is served once before anybody is served again, however much one has waiting.
 * Within an owner, in order of arrival. Every call takes constant time.
 */
export interface FairQueue<Item> {
  push(owner: string, item: Item): void;
  /** The oldest item of the owner whose turn it is; undefined when nothing waits. */
  shift(): Item | undefined;
  readonly size: number;
}

export function openFairQueue<Item>(): FairQueue<Item> {
  /** In order of their turns: a Map keeps the order in which its keys came. */
  const owners = new Map<string, Set<{ item: Item }>>();
  let size = 0;
  return {
    push(owner, item) {
      const items = owners.get(owner);
      if (items === undefined) owners.set(owner, new Set([{ item }]));
      else items.add({ item });
      size += 1;
    },
    shift() {
      const turn = owners.entries().next();
      if (turn.done === true) return undefined;
      const [owner, items] = turn.value;
      owners.delete(owner);
      const first = items.values().next();
      if (first.done === true) return undefined;
      items.delete(first.value);
      if (items.size > 0) owners.set(owner, items);
      size -= 1;
      return first.value.item;
    },
    get size() {
      return size;
    },
  };
}
