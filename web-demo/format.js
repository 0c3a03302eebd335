/** Money and times for people. */

/**
 * An amount in minor units as a price. The digits come from the currency itself: 2 for EUR, 0 for JPY, 3 for KWD, and
 * what stands behind the slash for an asset (`BTC/8`).
 *
 * @param {number} amount
 * @param {string} currency
 * @param {string} [locale]
 */
export function money(amount, currency, locale) {
  const [code = currency, exponent] = currency.split("/");
  if (exponent !== undefined) {
    const digits = Number(exponent);
    const format = new Intl.NumberFormat(locale, { minimumFractionDigits: 2, maximumFractionDigits: digits });
    return `${format.format(amount / 10 ** digits)} ${code}`;
  }
  const format = new Intl.NumberFormat(locale, { style: "currency", currency: code });
  return format.format(amount / 10 ** (format.resolvedOptions().maximumFractionDigits ?? 2));
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
