import 'graphiql/setup-workers/vite';
import 'graphiql/style.css';
import './editor.css';
import { GraphiQL } from 'graphiql';
import { type ComponentProps, createElement } from 'react';
import { createRoot } from 'react-dom/client';
import type { Example } from './examples.ts';
import type { Fetcher } from './fetcher.ts';
import type { EditorStorage } from './storage.ts';

type Props = ComponentProps<typeof GraphiQL>;

export interface EditorOptions {
  fetcher: Fetcher;
  storage: EditorStorage;
  /** Tabs where the storage has none yet. */
  examples: readonly Example[];
  /** False: GraphiQL does without a schema, and does not ask for one. */
  hasSchema: boolean;
}

/** On a narrow page the variables are folded away: they are one button off, and the document needs the room. */
const narrow = '(max-width: 48rem)';

/** Puts GraphiQL, which is made with React, into the element. Returns what takes it out again. */
export function mountEditor(
  element: HTMLElement,
  { fetcher, storage, examples, hasSchema }: EditorOptions,
): () => void {
  const root = createRoot(element);
  const dark = matchMedia('(prefers-color-scheme: dark)');
  const props: Props = {
    fetcher: fetcher as Props['fetcher'],
    storage,
    ...(examples.length > 0 && { defaultTabs: examples.map(example => ({ ...example })) }),
    ...(hasSchema ? {} : { schema: null }),
    defaultQuery: '',
    // The token is that of the session; a WebSocket has no headers.
    isHeadersEditorEnabled: false,
    showPersistHeadersSettings: false,
    defaultEditorToolsVisibility: matchMedia(narrow).matches ? false : 'variables',
  };
  const render = () =>
    root.render(
      // Of itself it would follow a change of the system's preference with its own colours, but not with the editor's.
      createElement(GraphiQL, { ...props, forcedTheme: dark.matches ? 'dark' : 'light' }, createElement(GraphiQL.Logo)),
    );
  render();
  dark.addEventListener('change', render);
  return () => {
    dark.removeEventListener('change', render);
    root.unmount();
  };
}
