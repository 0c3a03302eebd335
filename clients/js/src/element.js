/**
 * `<payment-status>`: a payment's status and price as an element. It has no styles of its own; the page styles its parts.
 *
 * ```html
 * <payment-status gateway="https://pay.shop.example" payment="pi_123" token-url="/payment-token?payment=pi_123"
 *   until="finished" text-captured="Bezahlt" lang="de"></payment-status>
 * ```
 */

import { money, watchPayment } from "./index.js";

/** @typedef {import("./index.js").Payment} Payment */
/** @typedef {import("./index.js").Options["getToken"]} GetToken */
/** @typedef {Record<"status" | "amount" | "connection", HTMLElement>} Parts */

/** What the element says. The attribute `text-…` says it otherwise, e.g. `text-requires-action`. @type {Record<string, string>} */
const WORDS = {
  unknown: "Waiting for the payment",
  created: "Payment started",
  requires_action: "Please confirm the payment",
  processing: "Payment in progress",
  failed: "Payment failed",
  authorized: "Payment approved",
  canceled: "Payment canceled",
  expired: "Payment expired",
  captured: "Paid",
  partially_refunded: "Partly refunded",
  refunded: "Refunded",
  disputed: "Payment disputed",
  charged_back: "Payment charged back",
  connecting: "Connecting",
  crowded: "Too many tabs are open; close one to see the payment",
  live: "",
  stale: "Updates are delayed",
  reconnecting: "Reconnecting",
  finished: "",
  refused: "The payment cannot be shown",
  closed: "",
};

/** A change of these begins anew. */
const SETTINGS = ["gateway", "payment", "token", "token-url", "until"];

/** @param {string} word */
const textAttribute = (word) => `text-${word.replaceAll("_", "-")}`;

/** Where there are no elements, as on a server that renders pages, importing the module is harmless. */
const Base = globalThis.HTMLElement ?? class {};

/**
 * Fires `payment-status` (its `detail` is a {@link Payment}) and `payment-connection` (a `Connection`), which bubble. Its
 * attributes `status` and `connection` have the same values, for selectors.
 */
export class PaymentStatus extends Base {
  static observedAttributes = [...SETTINGS, "lang", ...Object.keys(WORDS).map(textAttribute)];

  /** What is known of the payment. @type {Payment | undefined} */
  state;
  /** @type {import("./index.js").PaymentWatch | undefined} */
  #watch;
  /** Whether the watch begins anew once all attributes are set. */
  #isDue = false;
  /** @type {GetToken} */
  #getToken;
  /** @type {Parts | undefined} */
  #parts;

  /** In place of `token` and `token-url`: called for a fresh token at each connection. @returns {GetToken} */
  get getToken() {
    return this.#getToken;
  }

  set getToken(getToken) {
    this.#getToken = getToken;
    if (this.#parts) this.#restart();
  }

  connectedCallback() {
    // A page may have set the property before this module was loaded; then it hides the accessor.
    const early = Object.getOwnPropertyDescriptor(this, "getToken");
    if (early && Reflect.deleteProperty(this, "getToken")) this.#getToken = early.value;
    this.#parts ??= this.#build();
    this.#restart();
  }

  disconnectedCallback() {
    this.#watch?.close();
  }

  /** @param {string} name @param {string | null} before @param {string | null} now */
  attributeChangedCallback(name, before, now) {
    if (before === now || !this.#parts) return;
    if (SETTINGS.includes(name)) this.#restart();
    else this.#show();
  }

  #build() {
    const root = this.attachShadow({ mode: "open" });
    const part = (/** @type {"status" | "amount" | "connection"} */ name, /** @type {Node} */ place) => {
      const element = document.createElement("span");
      element.setAttribute("part", name);
      place.appendChild(element);
      return element;
    };
    // A live region: a screen reader says what changes in it, and nothing twice.
    const region = document.createElement("span");
    region.setAttribute("role", "status");
    region.setAttribute("aria-atomic", "true");
    const status = part("status", region);
    region.append(" ");
    const amount = part("amount", region);
    root.append(region, " ");
    return { status, amount, connection: part("connection", root) };
  }

  /** In a microtask, so that attributes which change together begin one watch. */
  #restart() {
    if (this.#isDue) return;
    this.#isDue = true;
    queueMicrotask(() => {
      this.#isDue = false;
      this.#watch?.close();
      this.state = undefined;
      this.removeAttribute("status");
      const payment = this.getAttribute("payment");
      if (payment && this.isConnected) this.#follow(payment);
      else this.#show();
    });
  }

  /** @param {string} payment */
  #follow(payment) {
    const url = this.getAttribute("gateway");
    const token = this.getAttribute("token");
    const address = this.getAttribute("token-url");
    const getToken = this.#getToken ?? (address === null ? undefined : () => ask(address));
    this.#watch = watchPayment({
      payment,
      ...(url !== null && { url }),
      ...(token !== null && { token }),
      ...(getToken && { getToken }),
      ...(this.getAttribute("until") === "finished" && { until: "finished" }),
      onStatus: (state) => {
        this.state = state;
        this.setAttribute("status", state.status);
        this.#show();
        this.#fire("payment-status", state);
      },
      onConnection: (connection) => {
        this.setAttribute("connection", connection);
        this.#show();
        this.#fire("payment-connection", connection);
      },
    });
  }

  #show() {
    const { status, amount, connection } = /** @type {Parts} */ (this.#parts);
    const { state } = this;
    const locale = this.closest("[lang]")?.getAttribute("lang") || undefined;
    write(status, state ? this.#word(state.status) : "");
    write(amount, state ? money(state.amount, state.currency, state.exponent, locale) : "");
    write(connection, this.#word(this.getAttribute("connection") ?? ""));
    connection.hidden = !connection.textContent;
  }

  /** @param {string} word */
  #word(word) {
    return this.getAttribute(textAttribute(word)) ?? WORDS[word] ?? word;
  }

  /** @param {string} type @param {unknown} detail */
  #fire(type, detail) {
    this.dispatchEvent(new CustomEvent(type, { bubbles: true, composed: true, detail }));
  }
}

/** What is written again is said again. @param {HTMLElement} element @param {string} text */
function write(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Asks the shop for a token: `POST` answers `{"token": …}`. @param {string} address @returns {Promise<string>} */
async function ask(address) {
  const answer = await fetch(address, { method: "POST" });
  if (!answer.ok) throw new Error(`${address} answered ${answer.status}`);
  return (await answer.json()).token;
}

if (globalThis.customElements && !customElements.get("payment-status")) customElements.define("payment-status", PaymentStatus);
