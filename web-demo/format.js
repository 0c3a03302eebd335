/** Money and times for people. */

export { money } from "./paystream.js";

/**
 * The time of day, to the second.
 *
 * @param {string} rfc3339
 * @param {string} [locale]
 */
export function clock(rfc3339, locale) {
  return new Date(rfc3339).toLocaleTimeString(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
}
