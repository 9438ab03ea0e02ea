import type { State, Status } from '@penstock/client';
import type { ReadonlySignal } from '@preact/signals';
import './connection.css';

/** How an unbroken connection, one that is being made, and a broken one are told apart beside the text. */
const marks: Readonly<Record<Status, string>> = {
  idle: '○',
  connecting: '◌',
  replaying: '◐',
  live: '●',
  offline: '✕',
  'needs-auth': '✕',
  closed: '○',
};

/** The client's status, as text (`data-testid="connection"`) and colour. */
export function Connection({ state }: { state: ReadonlySignal<State> }) {
  const { status } = state.value;
  return (
    <span class={`connection ${status}`}>
      <span aria-hidden="true">{marks[status]}</span>
      <span class="visually-hidden">Connection: </span>
      <span data-testid="connection">{status}</span>
    </span>
  );
}
