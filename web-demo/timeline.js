/** Puts a payment's timeline into a list of the page. Knows no other element of any page. */

import { clock } from "./format.js";
import { eventWords } from "./statuses.js";

/** @typedef {import("./paystream.js").PaymentEvent} PaymentEvent */

/**
 * Entries that stand are left alone, so that nothing flickers and a screen reader hears only what is new.
 *
 * @param {HTMLElement} list an `ol`
 * @param {PaymentEvent[]} timeline oldest first
 * @param {(rfc3339: string) => string} [show] writes a time; default: the time of day
 */
export function showTimeline(list, timeline, show = clock) {
  const ids = timeline.map((event) => event.id);
  const known = [...list.children].map((item) => /** @type {HTMLElement} */ (item).dataset.event);
  const stands = known.every((id, index) => id === ids[index]);
  if (!stands) list.replaceChildren();
  let newest = "";
  for (const [index, event] of timeline.entries()) {
    const time = timeOf(event);
    if (index >= list.children.length) list.append(entry(event, show(time), time < newest));
    if (time > newest) newest = time;
  }
}

/** When it happened, else when it was received. @param {PaymentEvent} event */
export function timeOf(event) {
  return event.occurred_at ?? event.received_at ?? new Date().toISOString();
}

/**
 * @param {PaymentEvent} event
 * @param {string} when
 * @param {boolean} overtaken it happened before something that was heard of earlier
 */
function entry(event, when, overtaken) {
  const item = document.createElement("li");
  item.dataset.event = event.id;
  const time = document.createElement("time");
  time.dateTime = timeOf(event);
  time.textContent = when;
  const words = document.createElement("span");
  words.className = "what";
  words.textContent = eventWords(event.type);
  const type = document.createElement("span");
  type.className = "code";
  type.textContent = event.type;
  item.append(words, time, type);
  if (event.late || overtaken) item.append(badge("arrived late"));
  if (event.correction) item.append(badge("correction"));
  return item;
}

/** @param {string} text */
function badge(text) {
  const badge = document.createElement("span");
  badge.className = "badge";
  badge.textContent = text;
  return badge;
}
