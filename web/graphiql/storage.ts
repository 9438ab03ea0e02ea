/** As GraphiQL wants it. */
export interface EditorStorage extends Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'clear' | 'length'> {
  /** Clears it for good: the editor saves what was typed a moment later, and that is kept no more. */
  end(): void;
}

/**
 * Keeps what a user has in the editor apart from what others have. Variables may hold secrets, so it is that of the tab
 * (`sessionStorage`), as the session is, and is cleared at log-out.
 * @param storage each key of ours begins with `penstock.graphiql.<username>:`
 */
export function editorStorage(storage: Storage, username: string): EditorStorage {
  const prefix = `penstock.graphiql.${encodeURIComponent(username)}:`;
  const keys = () =>
    Array.from({ length: storage.length }, (_, index) => storage.key(index)).filter(key => key?.startsWith(prefix));
  let isOver = false;
  const clear = () => {
    for (const key of keys()) if (key != null) storage.removeItem(key);
  };
  return {
    getItem: key => storage.getItem(prefix + key),
    setItem(key, value) {
      if (!isOver) storage.setItem(prefix + key, value);
    },
    removeItem: key => storage.removeItem(prefix + key),
    clear,
    end() {
      isOver = true;
      clear();
    },
    get length() {
      return keys().length;
    },
  };
}

/** Where GraphiQL keeps its tabs. */
const tabsKey = 'graphiql:tabState';

/** Forgets tabs in which nothing was written, as an editor without examples leaves them: one with examples shows these then. */
export function forgetEmptyTabs(storage: EditorStorage): void {
  try {
    const { tabs }: { tabs: { query?: string | null }[] } = JSON.parse(storage.getItem(tabsKey) ?? '');
    if (tabs.every(({ query }) => !query)) storage.removeItem(tabsKey);
  } catch {
    // None yet, or none that GraphiQL would take.
  }
}
