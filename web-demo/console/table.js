/** Writes tables and lists of facts. Everything is text: what a payer or a provider wrote is never part of the page. */

import { make } from "../payments/page.js";

/**
 * @typedef {object} Cell
 * @property {string} text
 * @property {string} [className] `wide`: left out where there is little room
 * @property {string} [tone]
 * @property {() => void} [onOpen] makes the text a button
 * @property {string} [name] what the button is called, if its text does not say it
 * @property {string} [href] makes the text a link
 */

/**
 * Brings a table in line with its rows. Rows that stand are left alone, so that nobody loses the place.
 *
 * @template Row
 * @param {HTMLElement} body
 * @param {readonly Row[]} rows
 * @param {(row: Row) => string} keyOf what is the same for the same row with the same cells
 * @param {(row: Row) => Cell[]} cellsOf
 */
export function fill(body, rows, keyOf, cellsOf) {
  const known = new Map([...body.children].map((row) => [/** @type {HTMLElement} */ (row).dataset.key, row]));
  const wanted = rows.map((row) => {
    const key = keyOf(row);
    return known.get(key) ?? made(key, cellsOf(row));
  });
  const kept = new Set(wanted);
  for (const row of [...body.children]) if (!kept.has(row)) row.remove();
  for (const [index, row] of wanted.entries()) if (body.children[index] !== row) body.insertBefore(row, body.children[index] ?? null);
}

/** @param {string} key @param {Cell[]} cells */
function made(key, cells) {
  const row = make("tr");
  row.dataset.key = key;
  row.append(...cells.map((cell) => {
    const place = make("td", cell.className);
    if (cell.tone) place.dataset.tone = cell.tone;
    place.append(content(cell));
    return place;
  }));
  return row;
}

/** @param {Cell} cell */
function content({ text, onOpen, href, name, tone }) {
  if (onOpen) {
    const button = make("button", "link", text);
    button.setAttribute("type", "button");
    if (name) button.setAttribute("aria-label", name);
    button.addEventListener("click", onOpen);
    return button;
  }
  if (href) {
    const link = make("a", "", text);
    link.setAttribute("href", href);
    return link;
  }
  return make("span", tone ? "toned" : "", text);
}

/** Writes the facts that are known, in their order. @param {HTMLElement} list @param {[string, string][]} told */
export function facts(list, told) {
  const known = told.filter(([, value]) => value !== "");
  const text = JSON.stringify(known);
  if (list.dataset.text === text) return;
  list.dataset.text = text;
  list.replaceChildren(
    ...known.map(([name, value]) => {
      const fact = make("div");
      fact.append(make("dt", "", name), make("dd", "", value));
      return fact;
    }),
  );
}
