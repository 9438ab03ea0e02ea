import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { formatCents } from '../../shared/format.ts';
import type { Account } from '../model/account.ts';
import { Iban } from './iban.tsx';

/** How long the button says that it has copied, ms. */
const copiedMs = 2_000;

/** The balance, and the number under which others pay to this account. */
export function AccountCard({ account: { iban, balance, limit } }: { account: Account }) {
  return (
    <section class="card account" aria-labelledby="account-title">
      <h2 id="account-title">Balance</h2>
      <p class={`balance ${balance < 0 ? 'overdrawn' : ''}`} data-testid="balance">
        {formatCents(balance)}
      </p>
      <p class="available">
        {formatCents(balance - limit)} can be spent, with an overdraft of {formatCents(-limit)}
      </p>
      <div class="number">
        <div>
          <span class="caption">Your IBAN</span>
          <Iban value={iban} testId="iban" />
        </div>
        <CopyButton text={iban} />
      </div>
    </section>
  );
}

function CopyButton({ text }: { text: string }) {
  const outcome = useSignal<'copied' | 'failed'>();
  useEffect(() => {
    if (outcome.value === undefined) return undefined;
    const timer = setTimeout(() => {
      outcome.value = undefined;
    }, copiedMs);
    return () => clearTimeout(timer);
  }, [outcome.value, outcome]);

  const copy = (): void => {
    // Without TLS, from another host, there is no clipboard.
    if (navigator.clipboard === undefined) outcome.value = 'failed';
    else {
      navigator.clipboard.writeText(text).then(
        () => {
          outcome.value = 'copied';
        },
        () => {
          outcome.value = 'failed';
        },
      );
    }
  };
  return (
    <button type="button" class="button quiet small" onClick={copy}>
      <span aria-live="polite">
        {outcome.value === 'copied' ? 'Copied' : outcome.value === 'failed' ? 'Not allowed' : 'Copy IBAN'}
      </span>
    </button>
  );
}
