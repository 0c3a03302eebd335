/**
 * The token of this tab. It is kept in the tab's sessionStorage and nowhere else, and is sent in a header only: addresses
 * end up in logs and histories.
 */

const KEY = "paystream.token";

/** What a browser without storage keeps. @type {string | undefined} */
let kept;

/** @returns {string | undefined} */
export function token() {
  try {
    return sessionStorage.getItem(KEY) ?? kept;
  } catch {
    return kept;
  }
}

/** Forgets the token if it is undefined. @param {string | undefined} token */
export function keep(token) {
  kept = token;
  try {
    if (token === undefined) sessionStorage.removeItem(KEY);
    else sessionStorage.setItem(KEY, token);
  } catch {
    // The storage is turned off; the tab remembers the token until it is closed.
  }
}

/**
 * The token within what somebody pasted: alone, or after the word "Bearer". `undefined` if there is none.
 *
 * @param {string} text
 */
export function tokenIn(text) {
  return /^(?:bearer\s+)?([\w-]+\.[\w-]+\.[\w-]+)$/i.exec(text.trim())?.[1];
}

/**
 * Takes the token out of the page's fragment (`#token=…`), which no browser sends to any server, and removes it from the
 * address and so from the history. Returns whether there was one.
 */
export function takeFromFragment() {
  const fragment = new URLSearchParams(location.hash.slice(1));
  const given = fragment.get("token");
  if (given === null) return false;
  fragment.delete("token");
  history.replaceState(null, "", `${location.pathname}${location.search}${fragment.size > 0 ? `#${fragment}` : ""}`);
  const found = tokenIn(given);
  if (found) keep(found);
  return found !== undefined;
}
