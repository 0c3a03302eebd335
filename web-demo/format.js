/** Money and times for people. A list writes thousands of them, and a formatter takes long to make, so each is kept. */

/** The most kept formatters: more than a shop has currencies. */
const KEPT = 200;

/** @type {Map<string, Intl.NumberFormat>} */
const prices = new Map();
/** @type {Map<string, Intl.DateTimeFormat>} */
const times = new Map();

/**
 * The formatter of that name, made at its first use.
 *
 * @template T
 * @param {Map<string, T>} kept
 * @param {string} name
 * @param {() => T} make
 */
function formatter(kept, name, make) {
  let found = kept.get(name);
  if (!found) {
    if (kept.size >= KEPT) kept.clear();
    found = make();
    kept.set(name, found);
  }
  return found;
}

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
  const make = () => new Intl.NumberFormat(locale, { style, ...(style === "currency" && { currency }), ...digits });
  const format = formatter(prices, `${locale} ${currency} ${exponent}`, make);
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
  const make = () => new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return formatter(times, `clock ${locale}`, make).format(new Date(rfc3339));
}

/**
 * The day and the time of day, to the second.
 *
 * @param {string} rfc3339
 * @param {string} [locale]
 */
export function moment(rfc3339, locale) {
  const make = () => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  return formatter(times, `moment ${locale}`, make).format(new Date(rfc3339));
}
