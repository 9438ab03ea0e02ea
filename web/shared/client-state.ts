import type { Client, State } from '@penstock/client';
import { type ReadonlySignal, signal } from '@preact/signals';

/** Returns the client's state as a signal. The client must be closed when it is not needed any more; the signal then stays `closed`. */
export function clientState(client: Pick<Client, 'state' | 'onState'>): ReadonlySignal<State> {
  const state = signal(client.state);
  client.onState(next => {
    state.value = next;
  });
  return state;
}
