import { Fragment } from 'preact';

/** An account's number in groups of four. The text stays in one piece, for whoever copies it. */
export function Iban({ value, testId }: { value: string; testId?: string }) {
  const groups = /^[A-Z]{2}\d{2}[A-Z0-9]+$/.test(value) ? (value.match(/.{1,4}/g) ?? []) : [value];
  return (
    <span class="iban" {...(testId === undefined ? {} : { 'data-testid': testId })}>
      {groups.map((group, index) => (
        <Fragment key={index}>
          <span>{group}</span>
          <wbr />
        </Fragment>
      ))}
    </span>
  );
}
