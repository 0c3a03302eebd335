/** One payment: its live status and timeline, by the same view as the shop's dashboard, and its receipt. */

import { Detail } from "../payments/detail.js";
import { element, make } from "../payments/page.js";
import { read } from "./api.js";
import { address, fieldsOf, fillForm, note } from "./place.js";
import * as receipt from "./receipt.js";
import { BASE } from "./session.js";

/** Every how many pulses the receipt is read. */
const SLOW = 2;

const form = /** @type {HTMLFormElement} */ (element("payment-form"));
/** @type {Detail | undefined} */
let detail;
/** What is shown. @type {{ payment: string, realm: string } | undefined} */
let shown;
let pulses = 0;
let isOpen = false;

/** @param {URLSearchParams} query */
export async function open(query) {
  isOpen = true;
  fillForm(form, query);
  await offer();
  const { payment, realm } = fieldsOf(form);
  if (isOpen && payment && realm) show(payment, realm);
}

export function close() {
  isOpen = false;
  forget();
}

function forget() {
  detail?.close();
  detail = undefined;
  shown = undefined;
  receipt.hide();
}

/** Offers the realms of the sources; the first one is the likeliest. */
async function offer() {
  const { sources } = await read("admin/sources").catch(() => ({ sources: [] }));
  const realms = [...new Set(sources.map((/** @type {{ realm: string }} */ { realm }) => realm))];
  element("realms").replaceChildren(...realms.map((realm) => new Option(realm, realm)));
  const field = /** @type {HTMLInputElement} */ (form.elements.namedItem("realm"));
  if (!field.value) field.value = realms[0] ?? "";
}

/** @param {string} payment @param {string} realm */
function show(payment, realm) {
  forget();
  shown = { payment, realm };
  const url = `${BASE}admin/realms/${encodeURIComponent(realm)}`;
  // Before each connection, the session is looked at: a new one begins here after a restart.
  detail = new Detail({ url, getToken: () => read("admin/session").then(() => undefined) });
  detail.open(payment);
  const link = Object.assign(make("a", "", "Its deliveries"), { href: address("deliveries", { payment }) });
  const watching = Object.assign(make("a", "", "Who watches it"), { href: address("streams", { payment, realm }) });
  element("payment-links").replaceChildren(link, watching);
  pulses = 0;
  readReceipt();
}

function readReceipt() {
  const mine = shown;
  if (mine) void receipt.show(mine.payment, mine.realm, () => shown === mine).catch(() => {}); // The pulse says it.
}

export async function pulse() {
  pulses += 1;
  if (pulses % SLOW === 0) readReceipt();
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  const { payment, realm } = fieldsOf(form);
  if (!payment || !realm) return;
  note("payment", { payment, realm });
  show(payment, realm);
  element("detail-title").focus();
});
