import { useSignal } from '@preact/signals';
import { Field } from '../../shared/field.tsx';
import { parseCents } from '../../shared/format.ts';
import type { Bank } from '../model/bank.ts';

/** Accounts that are proposed as recipients. */
const maxProposals = 8;

/** Returns the text without the spaces that people write between groups of an IBAN, in capitals where it looks like one. */
function recipientOf(text: string): string {
  const packed = text.replaceAll(/\s/g, '');
  return /^[a-z]{2}\d{2}[a-z0-9]+$/i.test(packed) ? packed.toUpperCase() : text.trim();
}

const notAnAmount = 'Write an amount in euros, such as 12.34.';

/** The first field that is wrong gets the focus. */
function focusOn(form: HTMLFormElement, name: string): void {
  const element = form.elements.namedItem(name);
  if (element instanceof HTMLElement) element.focus();
}

function textOf(form: HTMLFormElement, name: string): string {
  return String(new FormData(form).get(name) ?? '').trim();
}

/** Money to another account. What is right the bank decides; the form only reads what is written. */
export function TransferForm({ bank }: { bank: Bank }) {
  const faults = useSignal<{ recipient?: string; amount?: string }>({});
  const isPending = bank.counter.pending.value !== undefined;
  const proposals = new Set(bank.transactions.rows.value.map(({ transaction }) => transaction.fromTo));
  proposals.delete('cash');

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    if (!(form instanceof HTMLFormElement) || isPending) return;
    const recipient = recipientOf(textOf(form, 'recipient'));
    const amountCents = parseCents(textOf(form, 'amount'));
    faults.value = {
      ...(recipient === '' ? { recipient: 'Write the IBAN of the account that gets the money.' } : {}),
      ...(amountCents === undefined ? { amount: notAnAmount } : {}),
    };
    if (recipient === '' || amountCents === undefined) return focusOn(form, recipient === '' ? 'recipient' : 'amount');
    const wish = { kind: 'transfer', recipient, amountCents, description: textOf(form, 'description') } as const;
    if (await bank.counter.place(wish)) form.reset();
  };

  return (
    <form class="money" onSubmit={submit} noValidate aria-labelledby="transfer-title">
      <h3 id="transfer-title">Transfer</h3>
      <Field
        {...{ id: 'transfer-recipient', name: 'recipient', label: 'To', fault: faults.value.recipient }}
        {...{ placeholder: 'NL00 PENS 0000 0000 00', autocomplete: 'off', spellcheck: false, list: 'recipients' }}
      />
      <datalist id="recipients">
        {[...proposals].slice(0, maxProposals).map(iban => (
          <option key={iban} value={iban} />
        ))}
      </datalist>
      <Field
        {...{ id: 'transfer-amount', name: 'amount', label: 'Amount', fault: faults.value.amount }}
        {...{ inputMode: 'decimal', placeholder: '0.00', autocomplete: 'off' }}
      />
      <Field
        {...{ id: 'transfer-description', name: 'description', label: 'Description' }}
        {...{ placeholder: 'What it is for', autocomplete: 'off', maxLength: 140 }}
      />
      <button class="button" type="submit" aria-disabled={isPending}>
        Transfer
      </button>
    </form>
  );
}

/** Money from cash. */
export function PayInForm({ bank }: { bank: Bank }) {
  const fault = useSignal<string>();
  const isPending = bank.counter.pending.value !== undefined;

  const submit = async (event: SubmitEvent): Promise<void> => {
    event.preventDefault();
    const form = event.currentTarget;
    if (!(form instanceof HTMLFormElement) || isPending) return;
    const amountCents = parseCents(textOf(form, 'amount'));
    fault.value = amountCents === undefined ? notAnAmount : undefined;
    if (amountCents === undefined) return focusOn(form, 'amount');
    if (await bank.counter.place({ kind: 'pay-in', amountCents })) form.reset();
  };

  return (
    <form class="money pay-in" onSubmit={submit} noValidate aria-labelledby="pay-in-title">
      <h3 id="pay-in-title">Pay in cash</h3>
      <Field
        {...{ id: 'pay-in-amount', name: 'amount', label: 'Amount', fault: fault.value }}
        {...{ inputMode: 'decimal', placeholder: '0.00', autocomplete: 'off' }}
      />
      <button class="button quiet" type="submit" aria-disabled={isPending}>
        Pay in
      </button>
    </form>
  );
}
