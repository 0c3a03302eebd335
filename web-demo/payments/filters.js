/**
 * The filters of the list: a form of the page, the query that the gateway understands, and the fragment of the address in
 * which they outlive a reload. Knows nothing of the list.
 */

import { LABELS } from "./words.js";

/** @typedef {import("./gateway.js").Query} Query */

/** Statuses that are asked for together. @type {Record<string, string[]>} */
const GROUPS = {
  Open: ["created", "requires_action", "processing", "authorized"],
  Paid: ["captured", "partially_refunded"],
  "Not paid": ["failed", "canceled", "expired"],
  "Money back": ["partially_refunded", "refunded", "disputed", "charged_back"],
};

/** The names of the form's fields, which are those in the fragment. */
const FIELDS = ["status", "provider", "currency", "amount_min", "amount_max", "from", "to"];

export class Filters {
  #form;
  #exponentOf;

  /**
   * @param {HTMLFormElement} form
   * @param {(currency: string) => number | undefined} exponentOf how many decimal digits the minor unit has, if a payment tells
   */
  constructor(form, exponentOf) {
    this.#form = form;
    this.#exponentOf = exponentOf;
    this.#offerStatuses();
    this.read();
  }

  /** How many filters are set. */
  get count() {
    return FIELDS.filter((name) => this.#value(name) !== "").length;
  }

  /** Fills the form from the fragment of the address. */
  read() {
    const fragment = new URLSearchParams(location.hash.slice(1));
    for (const name of FIELDS) this.#field(name).value = fragment.get(name) ?? "";
    this.#field("status").value ||= "";
    this.check();
  }

  /** Writes the form into the fragment of the address, which is not sent to any server. */
  write() {
    const fragment = new URLSearchParams();
    for (const name of FIELDS) if (this.#value(name)) fragment.set(name, this.#value(name));
    history.replaceState(null, "", fragment.size > 0 ? `#${fragment}` : location.pathname + location.search);
  }

  reset() {
    this.#form.reset();
    this.check();
  }

  /** Marks the fields that cannot be right, and returns what is wrong with the first one; an empty text if nothing is. */
  check() {
    const hasCurrency = this.#value("currency") !== "";
    const [least, most] = [Number(this.#value("amount_min")), Number(this.#value("amount_max"))];
    const crossed = this.#value("amount_min") !== "" && this.#value("amount_max") !== "" && least > most;
    for (const name of ["amount_min", "amount_max"]) {
      const missing = this.#value(name) !== "" && !hasCurrency;
      this.#field(name).setCustomValidity(missing ? "An amount needs a currency as well." : "");
    }
    if (crossed) this.#field("amount_max").setCustomValidity("This is less than the least amount.");
    const [from, to] = [this.#value("from"), this.#value("to")];
    this.#field("to").setCustomValidity(from && to && from >= to ? "This is before the beginning." : "");
    return FIELDS.map((name) => this.#field(name).validationMessage).find((message) => message !== "") ?? "";
  }

  /** @returns {Query} */
  query() {
    /** @type {Query} */
    const query = [];
    const status = this.#value("status");
    for (const one of GROUPS[status] ?? (status ? [status] : [])) query.push(["status", one]);
    if (this.#value("provider")) query.push(["provider", this.#value("provider")]);
    const currency = this.#value("currency").toUpperCase();
    if (currency) query.push(["currency", currency]);
    for (const name of ["amount_min", "amount_max"]) {
      const amount = this.#value(name);
      if (amount) query.push([name, String(BigInt(Math.round(Number(amount) * 10 ** this.#exponent(currency))))]);
    }
    // A field of a local time has no zone: it means that of this browser.
    if (this.#value("from")) query.push(["first_seen_from", new Date(this.#value("from")).toISOString()]);
    if (this.#value("to")) query.push(["first_seen_to", new Date(this.#value("to")).toISOString()]);
    return query;
  }

  /** Offers values that payments have. @param {"providers" | "currencies"} list @param {Iterable<string>} values */
  offer(list, values) {
    const options = document.getElementById(list);
    const sorted = [...new Set(values)].sort();
    if (!options || [...options.children].map((option) => option.getAttribute("value")).join() === sorted.join()) return;
    options.replaceChildren(...sorted.map((value) => Object.assign(document.createElement("option"), { value })));
  }

  /** @param {string} currency */
  #exponent(currency) {
    const told = this.#exponentOf(currency);
    if (told !== undefined) return told;
    if (!/^[A-Z]{3}$/.test(currency)) return 2;
    return new Intl.NumberFormat("en", { style: "currency", currency }).resolvedOptions().maximumFractionDigits ?? 2;
  }

  #offerStatuses() {
    const select = this.#field("status");
    const group = (/** @type {string} */ label, /** @type {[string, string][]} */ options) => {
      const group = Object.assign(document.createElement("optgroup"), { label });
      group.append(...options.map(([value, text]) => new Option(text, value)));
      return group;
    };
    const groups = group("Several", Object.keys(GROUPS).map((name) => [name, name]));
    const single = group("One status", Object.entries(LABELS).map(([status, { label }]) => [status, label]));
    select.append(groups, single);
  }

  /** @param {string} name */
  #value(name) {
    return this.#field(name).value.trim();
  }

  /** @param {string} name @returns {HTMLInputElement} */
  #field(name) {
    return /** @type {HTMLInputElement} */ (this.#form.elements.namedItem(name));
  }
}
