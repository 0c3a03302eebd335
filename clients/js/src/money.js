/** Prices for people. */

/** The decimal digits of ISO 4217's minor units where they are not two. Browsers follow CLDR instead, which has fewer for some. */
const DIGITS = {
  0: "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF",
  3: "BHD IQD JOD KWD LYD OMR TND",
  4: "CLF UYW",
};

/**
 * An amount in minor units as a price, to the last digit; the empty string while the amount is not known.
 *
 * @param {number | bigint | null} amount in minor units
 * @param {string | null} currency ISO 4217, or the name of an asset
 * @param {number | null} [exponent] the decimal digits of the minor unit; default: those of ISO 4217 (2 for EUR, 0 for JPY)
 * @param {string} [locale] BCP 47; default: the browser's
 */
export function money(amount, currency, exponent, locale) {
  if (amount === null || !currency) return "";
  const digits = exponent ?? Number(Object.entries(DIGITS).find(([, codes]) => codes.split(" ").includes(currency))?.[0] ?? 2);
  const isCode = /^[A-Z]{3}$/.test(currency);
  const format = new Intl.NumberFormat(locale, {
    ...(isCode && { style: "currency", currency }),
    minimumFractionDigits: Math.min(digits, 2),
    maximumFractionDigits: digits,
  });
  // As a text, since a number holds no more than 15 digits, which is less than one ether in wei.
  const text = BigInt(amount).toString();
  const units = text.replace("-", "").padStart(digits + 1, "0");
  const whole = units.length - digits;
  const decimal = `${text.startsWith("-") ? "-" : ""}${units.slice(0, whole)}.${units.slice(whole)}`;
  const price = format.format(/** @type {`${number}`} */ (decimal));
  return isCode ? price : `${price} ${currency}`;
}
