import { type ReadonlySignal, useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import { clientState } from '../shared/client-state.ts';
import { Connection } from '../shared/connection.tsx';
import type { Session } from '../shared/session.ts';
import { type Fleet, openFleet } from './fleet/store.ts';
import { Gateways } from './parts/gateways.tsx';
import { Handoffs } from './parts/handoffs.tsx';
import { LookUp } from './parts/look-up.tsx';
import { Ownership } from './parts/ownership.tsx';
import { Partitions } from './parts/partitions.tsx';
import { Services } from './parts/services.tsx';
import { Summary } from './parts/summary.tsx';
import { Trends } from './parts/trends.tsx';
import { ProofPanel } from './proof/panel.tsx';

export function Dashboard({ session, username }: { session: Session; username: string }) {
  const fleet = useMemo(() => openFleet(session), [session]);
  const state = useMemo(() => clientState(fleet.client), [fleet]);
  const isLocal = useSignal(false);
  useEffect(() => fleet.close, [fleet]);
  useEffect(() => {
    void isLocalStack(session).then(local => {
      isLocal.value = local;
    });
  }, [session, isLocal]);

  return (
    <>
      <header class="bar">
        <h1>
          Penstock <span class="soft">Console</span>
        </h1>
        <Connection state={state} />
        <span class="push soft user">{username}</span>
        <button class="button quiet small" type="button" onClick={() => session.logOut()}>
          Log out
        </button>
      </header>
      <main class="page">
        <Trouble trouble={fleet.trouble} />
        <Summary view={fleet.view} />
        {isLocal.value && <ProofPanel session={session} fleet={fleet} />}
        <Panels fleet={fleet} session={session} />
      </main>
    </>
  );
}

function Panels({ fleet, session }: { fleet: Fleet; session: Session }) {
  return (
    <>
      <Ownership view={fleet.view} />
      <Trends history={fleet.history} />
      <Gateways view={fleet.view} />
      <Partitions view={fleet.view} history={fleet.history} />
      <div class="columns">
        <Handoffs view={fleet.view} />
        <LookUp view={fleet.view} session={session} />
      </div>
      <Services view={fleet.view} />
    </>
  );
}

function Trouble({ trouble }: { trouble: ReadonlySignal<string | undefined> }) {
  return (
    <div role="alert">
      {trouble.value !== undefined && <p class="notice warn wrap">The console has nothing to show: {trouble}</p>}
    </div>
  );
}

/** Only there a gateway may be killed, and users be simulated. */
async function isLocalStack({ getToken }: Session): Promise<boolean> {
  try {
    const response = await fetch('/console/settings', { headers: { authorization: `Bearer ${getToken()}` } });
    const { local }: { local?: boolean } = await response.json();
    return local === true;
  } catch {
    return false;
  }
}
