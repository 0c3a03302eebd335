/** Money and times for people. */

/**
 * An amount in minor units as a price.
 *
 * @param {number} amount
 * @param {string} currency ISO 4217, or the name of an asset
 * @param {number | null} [exponent] the digits of the minor unit; default: those of the currency (2 for EUR, 0 for JPY)
 * @param {string} [locale]
 */
export function money(amount, currency, exponent, locale) {
  const style = /^[A-Z]{3}$/.test(currency) ? "currency" : "decimal";
  const digits = exponent == null ? {} : { minimumFractionDigits: Math.min(exponent, 2), maximumFractionDigits: exponent };
  const format = new Intl.NumberFormat(locale, { style, ...(style === "currency" && { currency }), ...digits });
  const price = format.format(amount / 10 ** (exponent ?? format.resolvedOptions().maximumFractionDigits ?? 2));
  return style === "currency" ? price : `${price} ${currency}`;
}

/**
 * The time of day, to the second.
 *
 * @param {string} rfc3339
 * @param {string} [locale]
 */
export function clock(rfc3339, locale) {
  return new Date(rfc3339).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
