/**
 * A text as PostgreSQL can hold it: U+0000 and halves of surrogate pairs become U+FFFD. They can only come from
 * escapes in JSON; refusing the record instead would let whoever chooses a text hide the record's other fields.
 */
export function storableText(text: string): string {
  const wellFormed = text.isWellFormed() ? text : text.toWellFormed();
  return wellFormed.includes('\0') ? wellFormed.replaceAll('\0', '\uFFFD') : wellFormed;
}
