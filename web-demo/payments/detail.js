/**
 * The details of one payment: what the list says of it, its state and its timeline, live over its own stream. Knows its part
 * of the page; knows nothing of the list.
 */

import { moment, money } from "../format.js";
import { watchPayment } from "../paystream.js";
import { showTimeline, timeOf } from "../timeline.js";
import { element, make, write } from "./page.js";
import { labelOf, sentence } from "./words.js";

/**
 * @typedef {import("../paystream.js").Payment} Payment
 * @typedef {import("../paystream.js").Connection} Connection
 * @typedef {import("./gateway.js").Listed} Listed
 */

/** What the panel says while its stream is not live. @type {Record<Connection, string>} */
const STATES = {
  connecting: "Loading the timeline",
  crowded: "Waiting: too many tabs are open",
  live: "",
  stale: "Updates are delayed: the gateway has lost its store",
  reconnecting: "Reconnecting; this may be out of date",
  finished: "",
  refused: "The gateway does not show this payment",
  closed: "",
};

export class Detail {
  #access;
  /** @type {import("../paystream.js").PaymentWatch | undefined} */
  #watch;
  /** @type {string | undefined} */
  #id;
  /** @type {Payment | undefined} */
  #payment;
  /** @type {Listed | undefined} */
  #listed;
  #scheduled = false;

  /** @param {{ url: string, getToken: () => string | undefined | Promise<string | undefined> }} access the gateway's address, and the token for it */
  constructor(access) {
    this.#access = access;
  }

  /** The payment that is shown. */
  get id() {
    return this.#id;
  }

  /** Shows another payment. @param {string} id @param {Listed} [listed] what the list says of it, if it knows it */
  open(id, listed) {
    this.close();
    this.#id = id;
    this.#listed = listed;
    write(element("detail-id"), id);
    element("timeline").replaceChildren();
    this.#state("connecting");
    this.#draw();
    element("detail").hidden = false;
    this.#watch = watchPayment({
      ...this.#access,
      payment: id,
      // Another tab may have been given another token.
      share: false,
      onStatus: (payment) => {
        this.#payment = payment;
        this.#schedule();
      },
      onConnection: (connection) => this.#state(connection),
    });
  }

  /** Takes over what the list says of the payment now. @param {Listed | undefined} listed */
  update(listed) {
    if (!listed || listed === this.#listed) return;
    this.#listed = listed;
    this.#schedule();
  }

  close() {
    this.#watch?.close();
    this.#watch = undefined;
    this.#id = undefined;
    this.#payment = undefined;
    this.#listed = undefined;
    element("detail").hidden = true;
  }

  /** However much comes, it is written once per frame of the screen. */
  #schedule() {
    if (this.#scheduled) return;
    this.#scheduled = true;
    requestAnimationFrame(() => {
      this.#scheduled = false;
      if (this.#id !== undefined) this.#draw();
    });
  }

  /** @param {Connection} connection */
  #state(connection) {
    const text = STATES[connection];
    element("detail").dataset.state = connection;
    element("detail-state").hidden = text === "";
    write(element("detail-state"), text);
  }

  #draw() {
    const [payment, listed] = [this.#payment, this.#listed];
    const { label, tone } = payment ? labelOf(payment.status) : { label: "", tone: "quiet" };
    element("detail").dataset.tone = tone;
    write(element("detail-status"), label);
    const { amount = null, currency = null, exponent = null, captured = 0, refunded = 0 } = payment ?? {};
    const price = (/** @type {number | null} */ sum) => (sum === null || currency === null ? "–" : money(sum, currency, exponent));
    write(element("detail-amount"), price(amount));
    element("detail-conflict").hidden = !payment?.conflict;
    const timeline = payment?.timeline ?? [];
    const last = timeline.at(-1);
    facts({
      Captured: captured ? price(captured) : "",
      Refunded: refunded ? price(refunded) : "",
      "Why it failed": payment?.failure ? sentence(payment.failure.reason) : "",
      "What the customer has to do": payment?.action ? sentence(payment.action.kind) : "",
      Provider: listed?.provider ?? "",
      Source: listed?.source ?? "",
      Mode: listed ? (listed.live ? "Live" : "Test") : "",
      "First seen": listed ? moment(listed.first_seen) : "",
      "Last update": last ? moment(last.received_at ?? timeOf(last)) : "",
    });
    element("timeline-empty").hidden = !payment || timeline.length > 0;
    showTimeline(element("timeline"), timeline, moment);
  }
}

/** Writes the facts that are known, in their order. @param {Record<string, string>} told */
function facts(told) {
  const list = element("detail-facts");
  const known = Object.entries(told).filter(([, value]) => value !== "");
  const names = [...list.querySelectorAll("dt")].map((name) => name.textContent);
  if (names.join() !== known.map(([name]) => name).join()) {
    list.replaceChildren(
      ...known.map(([name]) => {
        const fact = make("div");
        fact.append(make("dt", "", name), make("dd"));
        return fact;
      }),
    );
  }
  for (const [index, place] of [...list.querySelectorAll("dd")].entries()) write(place, known[index]?.[1] ?? "");
}
