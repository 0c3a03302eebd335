/** Puts a payment into the page. Knows the page's elements; knows nothing of connections or of the demo's lives. */

import { clock, money } from "./format.js";
import { CONNECTIONS, STATUSES, eventWords, explanation } from "./statuses.js";

/** @typedef {import("./paystream.js").Payment} Payment */

/** @param {string} id */
function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** @param {{ payment: string, order: string, amount: number, currency: string }} order */
export function showOrder({ payment, order, amount, currency }) {
  element("order").textContent = order;
  element("reference").textContent = payment;
  element("amount").textContent = money(amount, currency);
}

/** @param {Payment} payment */
export function showPayment(payment) {
  const { status, amount, currency, exponent, conflict, timeline } = payment;
  const words = STATUSES[status];
  write("headline", words.headline);
  write("explanation", explanation(payment));
  element("seal").setAttribute("href", `#icon-${words.icon}`);
  element("payment").dataset.tone = words.tone;
  element("payment").dataset.status = status;
  element("conflict").hidden = !conflict;
  if (amount !== null && currency !== null) element("amount").textContent = money(amount, currency, exponent);
  const last = timeline.at(-1);
  element("updated").textContent = last ? clock(last.received_at ?? timeOf(last)) : "–";
  showTimeline(timeline);
}

/** Entries that stand are left alone, so that nothing flickers and a screen reader hears only what is new. */
function showTimeline(/** @type {Payment["timeline"]} */ timeline) {
  const list = element("timeline");
  element("empty").hidden = timeline.length > 0;
  const ids = timeline.map((event) => event.id);
  const known = [...list.children].map((item) => /** @type {HTMLElement} */ (item).dataset.event);
  const stands = known.every((id, index) => id === ids[index]);
  if (!stands) list.replaceChildren();
  const newest = (/** @type {number} */ before) => timeline.slice(0, before).map(timeOf).sort().at(-1) ?? "";
  for (const [index, event] of timeline.entries()) {
    if (index >= list.children.length) list.append(entry(event, timeOf(event) < newest(index)));
  }
}

/**
 * @param {import("./paystream.js").PaymentEvent} event
 * @param {boolean} overtaken it happened before something that was heard of earlier
 */
function entry(event, overtaken) {
  const item = document.createElement("li");
  item.dataset.event = event.id;
  const time = document.createElement("time");
  time.dateTime = timeOf(event);
  time.textContent = clock(timeOf(event));
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

/** @param {import("./paystream.js").Connection} connection */
export function showConnection(connection) {
  const chip = element("connection");
  chip.dataset.state = connection;
  write("connection", CONNECTIONS[connection]);
}

/** The demo's word about the last button pressed. @param {string} text */
export function showAnswer(text) {
  write("answer", text);
}

/** An unchanged text is not written again: a live region would say it again. @param {string} id @param {string} text */
function write(id, text) {
  const place = element(id);
  if (place.textContent !== text) place.textContent = text;
}

/** @param {import("./paystream.js").PaymentEvent} event */
function timeOf(event) {
  return event.occurred_at ?? event.received_at ?? new Date().toISOString();
}
