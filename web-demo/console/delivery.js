/** One delivery: what the record says of it, why it ended so, and what would mend it. Knows its part of the page; knows nothing of the list. */

import { moment } from "../format.js";
import { element, make, write } from "../payments/page.js";
import { sentence } from "../payments/words.js";
import { explanation } from "./api.js";
import { address } from "./place.js";
import { facts } from "./table.js";
import { counted, toneOf } from "./words.js";

/**
 * @typedef {{ cause: string, change: string, sure: boolean }} Diagnosis
 * @typedef {{ id: string, source: string, at: string, outcome: string, reason?: string, event?: string, type?: string, payment?: string,
 *   part?: string, held?: string, diagnosis?: Diagnosis } & Record<string, unknown>} Delivery
 */

/** What the facts are called. What is not named here is shown under its own name. @type {Record<string, string>} */
const NAMES = {
  at: "Received", source: "Source", reason: "Reason", event: "Event", unsigned_id: "Event, not signed", type: "Type", payment: "Payment", part: "Part",
  secret: "Secret that matched", seq: "Place in the log", where: "Where", found: "Found there", failure_code: "The provider's code", bytes: "Length", held: "Held as",
};
/** What is said elsewhere, or means nothing to people. */
const ELSEWHERE = ["id", "log", "outcome", "diagnosis"];

/** @param {Delivery} delivery @param {string | undefined} realm that of its source, if it is known */
export function show(delivery, realm) {
  write(element("delivery-outcome"), sentence(delivery.outcome));
  element("delivery-outcome").dataset.tone = toneOf(delivery.outcome);
  diagnose(delivery.diagnosis);
  const known = Object.keys(NAMES).filter((name) => name in delivery);
  const others = Object.keys(delivery).filter((name) => !(name in NAMES) && !ELSEWHERE.includes(name));
  facts(element("delivery-facts"), [...known, ...others].map((name) => [NAMES[name] ?? sentence(name), told(name, delivery[name])]));
  links(delivery, realm);
  element("delivery-reason").hidden = true;
  if (delivery.reason) void explain(delivery.reason, delivery.id);
  element("delivery").dataset.id = delivery.id;
  element("delivery").hidden = false;
}

export function hide() {
  element("delivery").hidden = true;
  delete element("delivery").dataset.id;
}

/** @param {Diagnosis | undefined} diagnosis */
function diagnose(diagnosis) {
  element("diagnosis").hidden = !diagnosis;
  const cause = diagnosis?.cause ?? "";
  // A code as a rule, such as `other_source`.
  write(element("diagnosis-cause"), /^\w+$/.test(cause) ? `${sentence(cause)}.` : cause);
  write(element("diagnosis-change"), diagnosis?.change ?? "");
  write(element("diagnosis-sure"), diagnosis ? (diagnosis.sure ? "certain" : "likely") : "");
}

/** @param {string} name @param {unknown} value */
function told(name, value) {
  if (name === "at") return moment(String(value));
  if (name === "bytes") return counted(Number(value), "byte");
  if (value === null || value === undefined) return "";
  if (typeof value !== "object") return String(value);
  return Object.entries(value).map(([part, value]) => `${sentence(part).toLowerCase()} ${typeof value === "object" ? JSON.stringify(value) : value}`).join(", ");
}

/** Adds what the gateway's own page of problems says of the reason. @param {string} reason @param {string} id */
async function explain(reason, id) {
  const text = await explanation(reason);
  if (element("delivery").dataset.id !== id) return;
  write(element("delivery-reason"), text);
  element("delivery-reason").hidden = text === "";
}

/** @param {Delivery} delivery @param {string | undefined} realm */
function links({ payment, source, held }, realm) {
  const link = (/** @type {string} */ text, /** @type {string} */ href) => Object.assign(make("a", "", text), { href });
  const made = [];
  if (payment) made.push(link("The payment", address("payment", { payment, realm })));
  if (payment) made.push(link("All its deliveries", address("deliveries", { payment })));
  if (held) made.push(link("Its place in quarantine", address("quarantine", { source, id: `${source}~${held}` })));
  element("delivery-links").replaceChildren(...made);
}
