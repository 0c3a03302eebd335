/** Money and times for people. */

export { money } from "./paystream.js";

/** A list writes thousands of times, and a formatter takes long to make, so each is kept. @type {Map<string, Intl.DateTimeFormat>} */
const times = new Map();

/** The formatter of that name, made at its first use. @param {string} name @param {() => Intl.DateTimeFormat} make */
function formatter(name, make) {
  const found = times.get(name) ?? make();
  times.set(name, found);
  return found;
}

/**
 * The time of day, to the second.
 *
 * @param {string} rfc3339
 * @param {string} [locale]
 */
export function clock(rfc3339, locale) {
  const make = () => new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit", second: "2-digit" });
  return formatter(`clock ${locale}`, make).format(new Date(rfc3339));
}

/**
 * The day and the time of day, to the second.
 *
 * @param {string} rfc3339
 * @param {string} [locale]
 */
export function moment(rfc3339, locale) {
  const make = () => new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  return formatter(`moment ${locale}`, make).format(new Date(rfc3339));
}
