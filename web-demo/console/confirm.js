/** Asks an operator to confirm a change, and for the reason that the audit trail keeps. */

import { element, write } from "../payments/page.js";

/**
 * @param {{ title: string, text: string, action: string }} words `action`: what the button says
 * @returns {Promise<{ reason: string } | undefined>} `undefined` if the operator does not want it
 */
export function confirm({ title, text, action }) {
  const dialog = /** @type {HTMLDialogElement} */ (element("confirm"));
  const reason = /** @type {HTMLInputElement} */ (element("confirm-reason"));
  write(element("confirm-title"), title);
  write(element("confirm-text"), text);
  write(element("confirm-yes"), action);
  reason.value = "";
  dialog.returnValue = "";
  dialog.showModal();
  reason.focus();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes" ? { reason: reason.value.trim() } : undefined), { once: true });
  });
}

element("confirm-form").addEventListener("submit", (event) => {
  event.preventDefault();
  /** @type {HTMLDialogElement} */ (element("confirm")).close("yes");
});
element("confirm-no").addEventListener("click", () => /** @type {HTMLDialogElement} */ (element("confirm")).close());
