/**
 * What each status means to the customer: the words, the tone, the icon. Also the provider's event types in plain
 * words. Knows nothing of connections or of the page.
 */

/** @typedef {import("./paystream.js").Status} Status */

/**
 * @typedef {object} Words
 * @property {string} headline
 * @property {string} explanation
 * @property {"waiting" | "asking" | "good" | "bad" | "quiet"} tone
 * @property {string} icon the id of a symbol in the page
 */

/** @type {Record<Status, Words>} */
export const STATUSES = {
  unknown: {
    headline: "Starting your payment",
    explanation: "One moment while we open a line to the payment provider.",
    tone: "waiting",
    icon: "clock",
  },
  created: {
    headline: "Payment started",
    explanation: "We are waiting for your bank. You can leave this page open; it updates by itself.",
    tone: "waiting",
    icon: "clock",
  },
  requires_action: {
    headline: "Please confirm with your bank",
    explanation: "Your bank wants to be sure that it is you. Approve the payment in its app or window.",
    tone: "asking",
    icon: "lock",
  },
  processing: {
    headline: "Your bank is working on it",
    explanation: "This usually takes a few seconds. There is nothing you need to do.",
    tone: "waiting",
    icon: "clock",
  },
  failed: {
    headline: "That did not go through",
    explanation: "Your bank declined this attempt. Nothing was charged; you can try another card.",
    tone: "bad",
    icon: "cross",
  },
  authorized: {
    headline: "Payment approved",
    explanation: "Your bank has set the money aside for us. We take it in a moment.",
    tone: "waiting",
    icon: "shield",
  },
  canceled: {
    headline: "Payment cancelled",
    explanation: "The payment was called off. Nothing was charged.",
    tone: "quiet",
    icon: "cross",
  },
  expired: {
    headline: "Payment expired",
    explanation: "The time to pay ran out. Nothing was charged; your basket is still there.",
    tone: "quiet",
    icon: "clock",
  },
  captured: {
    headline: "Paid. Thank you!",
    explanation: "We have your payment, and a receipt is on its way to your inbox.",
    tone: "good",
    icon: "check",
  },
  partially_refunded: {
    headline: "Partly refunded",
    explanation: "Part of the money is on its way back to you. Banks take up to five working days.",
    tone: "quiet",
    icon: "back",
  },
  refunded: {
    headline: "Refunded",
    explanation: "The money is on its way back to you. Banks take up to five working days.",
    tone: "quiet",
    icon: "back",
  },
  disputed: {
    headline: "Payment contested",
    explanation: "Your bank has asked us about this payment. We have sent what we know and are waiting.",
    tone: "asking",
    icon: "flag",
  },
  charged_back: {
    headline: "Payment taken back",
    explanation: "Your bank decided in your favour and has returned the money.",
    tone: "quiet",
    icon: "back",
  },
};

/** What the customer can do about each reason for a failure. @type {Record<import("./paystream.js").FailureReason, string>} */
const FAILURES = {
  insufficient_funds: "The account does not hold enough money. Nothing was charged; you can try another card.",
  card_expired: "The card has expired. Nothing was charged; you can try another card.",
  wrong_details: "Something was mistyped. Nothing was charged; please check the details and try again.",
  authentication_failed: "Your bank could not make sure that it is you. Nothing was charged; please try again.",
  limit_exceeded: "The payment exceeds a limit of your card or bank. Nothing was charged; you can try another card.",
  not_supported: "The card cannot be used for this payment. Nothing was charged; you can try another card.",
  try_again: "A line to the bank was down. Nothing was charged; please try again in a moment.",
  contact_bank: "Your bank declined and can tell you why. Nothing was charged; you can try another card.",
  abandoned: "The payment was not completed. Nothing was charged.",
  declined: STATUSES.failed.explanation,
};

/** What the customer has to do next. @type {Record<import("./paystream.js").ActionKind, string>} */
const ACTIONS = {
  redirect: "Please finish the payment on the page of your bank or wallet.",
  "3ds": STATUSES.requires_action.explanation,
  bank_transfer: "Please transfer the money from your bank account. This page updates when it arrives.",
  voucher: "Please pay with the voucher. This page updates when the money arrives.",
  wait: "There is nothing you need to do. This page updates by itself.",
};

/**
 * What to tell the customer: the words of the status, made more exact by what the provider says.
 *
 * @param {import("./paystream.js").Payment} payment
 * @returns {string}
 */
export function explanation({ status, failure, action }) {
  if (failure) return FAILURES[failure.reason] ?? STATUSES[status].explanation;
  if (action) return ACTIONS[action.kind] ?? STATUSES[status].explanation;
  return STATUSES[status].explanation;
}

/** @type {Record<import("./paystream.js").Connection, string>} */
export const CONNECTIONS = {
  connecting: "Connecting",
  crowded: "Waiting: too many tabs are open",
  live: "Live",
  stale: "Updates delayed",
  reconnecting: "Reconnecting",
  finished: "Complete",
  refused: "No access",
  closed: "Closed",
};

/** Stripe's event types, as a customer would put them. @type {Record<string, string>} */
const EVENTS = {
  "payment_intent.created": "Payment started",
  "payment_intent.requires_action": "The bank asks for confirmation",
  "payment_intent.processing": "The bank is working on it",
  "payment_intent.payment_failed": "The bank declined the attempt",
  "payment_intent.amount_capturable_updated": "The bank set the money aside",
  "payment_intent.succeeded": "Payment received",
  "payment_intent.canceled": "Payment cancelled",
  "charge.captured": "Payment collected",
  "charge.succeeded": "Card charged",
  "charge.failed": "Card declined",
  "charge.refunded": "Money sent back",
  "charge.refund.updated": "Refund updated",
  "refund.created": "Refund started",
  "refund.updated": "Refund updated",
  "refund.failed": "Refund failed",
  "charge.dispute.created": "The bank contests the payment",
  "charge.dispute.updated": "The bank looks at our answer",
  "charge.dispute.closed": "The bank has decided",
  "charge.dispute.funds_withdrawn": "The contested money was held back",
  "charge.dispute.funds_reinstated": "The contested money was returned",
};

/**
 * An event type in plain words; an unknown one is made readable as it stands.
 *
 * @param {string} type
 */
export function eventWords(type) {
  return EVENTS[type] ?? type.replace(/[._]/g, " ").replace(/^./, (first) => first.toUpperCase());
}
