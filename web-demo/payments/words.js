/**
 * What merchants and operators call a payment's statuses and failures: short and exact, where the words of `statuses.js`
 * speak to the customer. Knows nothing of any page.
 */

/** @typedef {import("../paystream.js").Status} Status */
/** @typedef {"waiting" | "asking" | "good" | "bad" | "quiet"} Tone */

/** Every status, in the order in which a payment may come to it. @type {Record<Status, { label: string, tone: Tone }>} */
export const LABELS = {
  unknown: { label: "Unknown", tone: "quiet" },
  created: { label: "Created", tone: "waiting" },
  requires_action: { label: "Action required", tone: "asking" },
  processing: { label: "Processing", tone: "waiting" },
  failed: { label: "Failed", tone: "bad" },
  authorized: { label: "Authorized", tone: "waiting" },
  canceled: { label: "Canceled", tone: "quiet" },
  expired: { label: "Expired", tone: "quiet" },
  captured: { label: "Captured", tone: "good" },
  partially_refunded: { label: "Partly refunded", tone: "quiet" },
  refunded: { label: "Refunded", tone: "quiet" },
  disputed: { label: "Disputed", tone: "asking" },
  charged_back: { label: "Charged back", tone: "bad" },
};

/** A status that a newer gateway tells is shown as it stands. @param {string} status @returns {{ label: string, tone: Tone }} */
export function labelOf(status) {
  return LABELS[/** @type {Status} */ (status)] ?? { label: sentence(status), tone: "quiet" };
}

/** `insufficient_funds` as "Insufficient funds". @param {string} word */
export function sentence(word) {
  return word.replace(/_/g, " ").replace(/^./, (first) => first.toUpperCase());
}
