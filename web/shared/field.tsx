import type { ComponentChildren, PartialInputHTMLAttributes } from 'preact';

type InputProps = Pick<
  PartialInputHTMLAttributes<HTMLInputElement>,
  'name' | 'value' | 'onInput' | 'inputMode' | 'placeholder' | 'autocomplete' | 'spellcheck' | 'maxLength'
>;

export interface FieldProps extends InputProps {
  id: string;
  label: string;
  /** Id of a `datalist` with proposals. */
  list?: string;
  /** Shown below, also to screen readers. */
  hint?: ComponentChildren;
  /** Why the value is not accepted. */
  fault?: string | undefined;
}

/** An input with its label, a hint and what is wrong with its value. */
export function Field({ id, label, hint, fault, list, ...input }: FieldProps) {
  const described = [hint === undefined ? '' : `${id}-hint`, fault === undefined ? '' : `${id}-fault`].filter(Boolean);
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input
        id={id}
        type="text"
        aria-invalid={fault !== undefined}
        {...(described.length > 0 ? { 'aria-describedby': described.join(' ') } : {})}
        {...(list === undefined ? {} : { list })}
        {...input}
      />
      {hint !== undefined && (
        <span id={`${id}-hint`} class="hint">
          {hint}
        </span>
      )}
      {fault !== undefined && (
        <span id={`${id}-fault`} class="fault">
          {fault}
        </span>
      )}
    </div>
  );
}
