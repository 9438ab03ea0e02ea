/** Account numbers of this bank: `NL`, two check digits (ISO 7064 mod 97-10, as ISO 13616 uses it), `PENS`, ten digits. */
const bankCode = 'PENS';
const accountNumbers = 10_000_000_000n;
/** Shares no factor with ten, so that multiplying by it modulo 10^10 is a permutation: neighbours look unrelated. */
const spread = 6_180_339_887n;
const pattern = /^NL\d{2}PENS\d{10}$/;

/** The IBAN of the `serial`-th account. Different serials from 0 to 10^10 − 1 give different IBANs. */
export function ibanOf(serial: number): string {
  if (!Number.isSafeInteger(serial) || serial < 0 || serial >= Number(accountNumbers)) {
    throw new RangeError(`no account number is left for serial ${serial}`);
  }
  const digits = ((BigInt(serial) * spread) % accountNumbers).toString().padStart(10, '0');
  const checkDigits = (98 - remainder(`${bankCode}${digits}NL00`)).toString().padStart(2, '0');
  return `NL${checkDigits}${bankCode}${digits}`;
}

/** Whether this could be an account here at all; saves the ledger from being asked for anything else. */
export function looksLikeOurs(text: string): boolean {
  return pattern.test(text);
}

/** Modulo 97 of a text of digits and capital letters, digit by digit so that no number gets too large. */
function remainder(text: string): number {
  let rest = 0;
  for (const character of text) {
    for (const digit of Number.parseInt(character, 36).toString()) rest = (rest * 10 + Number(digit)) % 97;
  }
  return rest;
}
