/**
 * The demo page: starts a payment's life, watches it, and lets the visitor try other lives. All that a shop would need
 * for its own page is the call of `watchPayment`.
 */

import { watchPayment } from "./paystream.js";
import { showAnswer, showConnection, showOrder, showPayment } from "./view.js";

/** @typedef {{ payment: string, token: string, events_url: string, order: string, amount: number, currency: string }} Order */

/** The gateway's heartbeat interval, if the demo runs with another one than 15 s. */
const heartbeatMs = Number(document.documentElement.dataset.heartbeatMs ?? 15_000);

/** @type {import("./paystream.js").PaymentWatch | undefined} */
let watch;
/** @type {string | undefined} */
let watched;
let finished = false;

/** @param {Order} order */
function follow(order) {
  watch?.close();
  watched = order.payment;
  history.replaceState(null, "", `?payment=${encodeURIComponent(order.payment)}`);
  showOrder(order);
  /** The token that came with the order opens the first connection; each later one asks for its own. */
  let first = /** @type {string | undefined} */ (order.token);
  watch = watchPayment({
    payment: order.payment,
    getToken: async () => {
      const token = first ?? (await post("/demo/token", { payment: order.payment })).token;
      first = undefined;
      return token;
    },
    until: "finished",
    heartbeatMs,
    onStatus: showPayment,
    onConnection: (connection) => {
      finished = connection === "finished";
      showConnection(connection);
    },
  });
}

/**
 * @param {string} path
 * @param {object} [body]
 * @returns {Promise<Order>}
 */
async function post(path, body = {}) {
  const headers = { "Content-Type": "application/json" };
  const response = await fetch(path, { method: "POST", headers, body: JSON.stringify(body) });
  if (!response.ok) throw new Error(`${path} answered ${response.status}`);
  return response.json();
}

/** @param {string} life */
async function begin(life) {
  follow(await post("/demo/payments", { life }));
}

/** A page that is loaded again shows the payment it showed before, if the demo still knows it. */
async function open() {
  const payment = new URLSearchParams(location.search).get("payment");
  const known = payment && (await post("/demo/token", { payment }).catch(() => undefined));
  if (known) follow(known);
  else await begin("happy");
}

/** @param {HTMLButtonElement} button */
async function press(button) {
  const { life = "happy", restart, continues } = button.dataset;
  if (continues !== undefined && watched) {
    const order = await post(`/demo/payments/${encodeURIComponent(watched)}/lives`, { life });
    if (finished) follow(order);
  } else {
    await begin(life);
  }
  if (restart !== undefined) await post("/demo/restart");
  scrollTo({ top: 0, behavior: matchMedia("(prefers-reduced-motion: reduce)").matches ? "auto" : "smooth" });
}

for (const button of document.querySelectorAll("button")) {
  button.addEventListener("click", async () => {
    button.disabled = true;
    showAnswer("");
    await press(button).catch(() => showAnswer("The gateway did not answer. It may be restarting; try again in a moment."));
    button.disabled = false;
  });
}

open().catch(() => showAnswer("The demo did not answer. Is it still running?"));
