/** Small helpers for pages: their elements by id, and texts that are written only when they change. */

/** @param {string} id @returns {HTMLElement} */
export function element(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element #${id}`);
  return found;
}

/** An unchanged text is not written again: a live region would say it again. @param {Element} place @param {string} text */
export function write(place, text) {
  if (place.textContent !== text) place.textContent = text;
}

/** A new element with a class and a text. @param {string} tag @param {string} [className] @param {string} [text] */
export function make(tag, className = "", text = "") {
  return Object.assign(document.createElement(tag), { className, textContent: text });
}
