/** A map of bounded weight; the entry that was unused longest goes first. */
export interface Lru<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): void;
}

/**
 * @param capacity most entries, or most weight where `weigh` says what an entry weighs. An entry that is heavier than all
 *   of it is not kept.
 */
export function openLru<K, V>(capacity: number, weigh: (key: K, value: V) => number = () => 1): Lru<K, V> {
  const entries = new Map<K, { value: V; weight: number }>();
  let weight = 0;
  return {
    get(key) {
      const entry = entries.get(key);
      if (entry === undefined) return undefined;
      entries.delete(key);
      entries.set(key, entry);
      return entry.value;
    },
    set(key, value) {
      drop(key);
      const entry = { value, weight: weigh(key, value) };
      if (entry.weight > capacity) return;
      entries.set(key, entry);
      weight += entry.weight;
      for (const oldest of entries.keys()) {
        if (weight <= capacity) return;
        drop(oldest);
      }
    },
  };

  function drop(key: K): void {
    weight -= entries.get(key)?.weight ?? 0;
    entries.delete(key);
  }
}
