/** Follows the status of payments from a Paystream gateway. */

export { money } from "./money.js";
export { watchPayment, watchPayments } from "./watch.js";

/**
 * @typedef {import("./types.js").ActionKind} ActionKind
 * @typedef {import("./types.js").Connection} Connection
 * @typedef {import("./types.js").FailureReason} FailureReason
 * @typedef {import("./types.js").Options} Options
 * @typedef {import("./types.js").Payment} Payment
 * @typedef {import("./types.js").PaymentEvent} PaymentEvent
 * @typedef {import("./types.js").PaymentWatch} PaymentWatch
 * @typedef {import("./types.js").SeveralOptions} SeveralOptions
 * @typedef {import("./types.js").Status} Status
 */
