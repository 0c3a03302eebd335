/** Puts a payment into the page. Knows the page's elements; knows nothing of connections or of the demo's lives. */

import { clock, money } from "./format.js";
import { CONNECTIONS, STATUSES, explanation } from "./statuses.js";
import { showTimeline, timeOf } from "./timeline.js";

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
  element("empty").hidden = timeline.length > 0;
  showTimeline(element("timeline"), timeline);
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
