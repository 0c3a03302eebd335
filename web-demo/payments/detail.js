/**
 * The details of one payment: what the list says of it, its state and its timeline, live over its own stream. Knows its part
 * of the page and how to follow a stream; knows nothing of the list.
 */

import { moment, money } from "../format.js";
import { showTimeline, timeOf } from "../timeline.js";
import { Follower } from "./follow.js";
import { element, make, write } from "./page.js";
import { labelOf, sentence } from "./words.js";

/**
 * @typedef {import("../paystream.js").Payment} Payment
 * @typedef {import("../paystream.js").PaymentEvent} PaymentEvent
 * @typedef {import("./follow.js").Connection} Connection
 * @typedef {import("./gateway.js").Listed} Listed
 * @typedef {Payment & { type: string, prev?: number, event?: PaymentEvent, late?: boolean, correction?: boolean }} Frame
 */

/** What the panel says while its stream is not live. @type {Record<Connection, string>} */
const STATES = {
  connecting: "Loading the timeline",
  live: "",
  stale: "Updates are delayed: the gateway has lost its store",
  reconnecting: "Reconnecting; this may be out of date",
  refused: "",
};

export class Detail {
  #gateway;
  /** @type {Follower | undefined} */
  #follower;
  /** @type {string | undefined} */
  #id;
  /** @type {Payment | undefined} */
  #payment;
  /** @type {Listed | undefined} */
  #listed;
  #scheduled = false;

  /** @param {import("./gateway.js").Gateway} gateway */
  constructor(gateway) {
    this.#gateway = gateway;
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
    this.#follower = new Follower({
      connect: (cursor, signal) => this.#gateway.events(id, cursor, signal),
      onFrame: (frame) => this.#take(frame),
      onConnection: (connection, refused) => this.#state(connection, refused?.message),
    });
  }

  /** Takes over what the list says of the payment now. @param {Listed | undefined} listed */
  update(listed) {
    if (!listed || listed === this.#listed) return;
    this.#listed = listed;
    this.#schedule();
  }

  close() {
    this.#follower?.close();
    this.#follower = undefined;
    this.#id = undefined;
    this.#payment = undefined;
    this.#listed = undefined;
    element("detail").hidden = true;
  }

  /** @param {Frame} frame @returns {boolean} whether it continues what is known */
  #take({ type, prev, event, late, correction, ...state }) {
    if (type === "snapshot") {
      this.#payment = { ...state, timeline: state.timeline ?? [] };
    } else if (type === "update") {
      const known = this.#payment;
      if (known && state.seq <= known.seq) return true;
      if (!known || prev !== known.seq || !event) return false;
      const entry = { ...event, ...(late && { late }), ...(correction && { correction }) };
      this.#payment = { ...state, timeline: [...known.timeline, entry] };
    } else if (type === "ready") {
      return state.seq === this.#payment?.seq;
    }
    this.#schedule();
    return true;
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

  /** @param {Connection} connection @param {string} [refusal] */
  #state(connection, refusal) {
    const text = refusal ?? STATES[connection];
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
