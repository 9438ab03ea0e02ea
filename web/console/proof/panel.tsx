import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { formatCount, formatTime } from '../../shared/format.ts';
import type { Session } from '../../shared/session.ts';
import { post } from '../ask.ts';
import type { Fleet } from '../fleet/store.ts';
import { duration } from '../format.ts';
import { openProof, type Proof } from './proof.ts';

interface Killed {
  name: string;
  atMs: number;
}

/** What convinces: kill a gateway, and see that no event is lost and none comes twice. Only in the local stack. */
export function ProofPanel({ session, fleet }: { session: Session; fleet: Fleet }) {
  const proof = useMemo(() => openProof(localStorage), []);
  useEffect(() => proof.close, [proof]);
  const killed = useSignal<Killed>();
  const fault = useSignal<string>();
  const isPending = useSignal(false);

  const kill = async (): Promise<void> => {
    if (isPending.value) return;
    isPending.value = true;
    fault.value = undefined;
    // Before the answer comes, all partitions may have a new owner.
    const atMs = Date.now();
    try {
      const { killed: name } = await post<{ killed: string }>('/console/local/kill', {}, session.getToken);
      killed.value = { name, atMs };
    } catch (error) {
      fault.value = error instanceof Error ? error.message : String(error);
    } finally {
      isPending.value = false;
    }
  };

  return (
    <section class="card proof">
      <div class="proof-text">
        <h2>Lose a gateway, lose nothing</h2>
        <p class="soft">
          {proof.users} simulated users in this page pay each other: {proof.payments} payments so far. Each event that
          arrives is compared with the bank’s own list.
        </p>
        <div class="row">
          <button class="button danger" type="button" onClick={kill} disabled={isPending.value}>
            Kill a gateway
          </button>
          <PauseButton proof={proof} />
        </div>
      </div>
      <Counters proof={proof} />
      <div role="status" class="proof-status">
        {fault.value !== undefined && <p class="notice bad">{fault}</p>}
        {proof.trouble.value !== undefined && <p class="notice warn">{proof.trouble}</p>}
        {killed.value !== undefined && <Aftermath killed={killed.value} view={fleet.view} />}
      </div>
    </section>
  );
}

function PauseButton({ proof }: { proof: Proof }) {
  const isPaused = proof.isPaused.value;
  return (
    <button class="button quiet" type="button" onClick={isPaused ? proof.resume : proof.pause}>
      {isPaused ? 'Pay on' : 'Pause payments'}
    </button>
  );
}

function Counters({ proof }: { proof: Proof }) {
  const { delivered, lost, twice } = proof.counts.value;
  return (
    <dl class="counters">
      <div>
        <dt>delivered</dt>
        <dd data-testid="delivered">{delivered}</dd>
      </div>
      <div class={lost === 0 ? 'good' : 'bad'}>
        <dt>lost</dt>
        <dd data-testid="lost">{lost}</dd>
      </div>
      <div class={twice === 0 ? 'good' : 'bad'}>
        <dt>twice</dt>
        <dd data-testid="twice">{twice}</dd>
      </div>
      <div>
        <dt>reconnects</dt>
        <dd data-testid="reconnects">{formatCount(proof.reconnects.value)}</dd>
      </div>
    </dl>
  );
}

/** What the gateways tell of the partitions that changed hands since. */
function Aftermath({ killed, view }: { killed: Killed; view: Fleet['view'] }) {
  return (
    <p class="notice">
      {killed.name} was killed at {formatTime(killed.atMs)}. <Taken killed={killed} view={view} />
    </p>
  );
}

/** By the gateways' clocks and the page's, which are one in the local stack. */
function Taken({ killed, view }: { killed: Killed; view: ReadonlySignal<Fleet['view']['value']> }) {
  const taken = view.value.handoffs.filter(({ atMs, to }) => atMs >= killed.atMs && to !== killed.name);
  const first = taken.at(-1);
  const last = taken[0];
  if (first === undefined || last === undefined) return <>Its partitions are being taken over …</>;
  return (
    <>
      {taken.length} partitions had a new owner within {duration(last.atMs - killed.atMs)}.
    </>
  );
}
