/** Why the gateway shows nothing, in words that say what to do about it. Knows no page. */

/** @typedef {{ title: string, text: string, asks: boolean }} Words `asks`: another token would help */

const COMMAND = "paystream token --payment '*'";

/**
 * @param {import("./gateway.js").Refused} refused
 * @returns {Words}
 */
export function refusal({ status, reason, message }) {
  if (reason === "missing_token") {
    return { title: "Open with a token", text: `This page needs a token for all payments. The command ${COMMAND} prints one.`, asks: true };
  }
  if (reason === "expired") {
    return { title: "The token has expired", text: `Paste a new one. The command ${COMMAND} prints one.`, asks: true };
  }
  if (status === 401) {
    return { title: "The token is not accepted", text: `The gateway says: ${message}.`, asks: true };
  }
  if (status === 403) {
    const text = `The token opens single payments, and this page shows all of them. The command ${COMMAND} prints a token that does; it needs an operator's key.`;
    return { title: "No right to see all payments", text, asks: true };
  }
  if (reason === "list_off") {
    return { title: "The list is turned off", text: "This gateway keeps no list of payments: recent = 0 under [store] turns it off.", asks: false };
  }
  return { title: "The gateway refuses", text: `It says: ${message}.`, asks: false };
}
