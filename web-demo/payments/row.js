/** Writes one payment into a row of the list. */

import { moment, money } from "../format.js";
import { make, write } from "./page.js";
import { labelOf } from "./words.js";

/** @typedef {import("./book.js").Row} Row */

/** The cells of a row, in the order of the list's head. */
const CELLS = ["status", "amount", "code id", "provider", "seen", "changed"];

const still = matchMedia("(prefers-reduced-motion: reduce)");

/** @param {HTMLElement} element @param {Row} row @param {Row | undefined} before what the element shows, if anything */
export function fillRow(element, row, before) {
  if (element.children.length === 0) {
    for (const name of CELLS) {
      const cell = make("span", name);
      cell.setAttribute("role", "gridcell");
      element.append(cell);
    }
  }
  const { label, tone } = labelOf(row.status);
  const price = row.amount === null || row.currency === null ? "–" : money(row.amount, row.currency, row.exponent);
  const texts = [label, price, row.id, row.live ? row.provider : `${row.provider} (test)`, moment(row.first_seen), moment(row.changed)];
  element.dataset.tone = tone;
  element.dataset.conflict = String(row.conflict);
  for (const [index, text] of texts.entries()) {
    const cell = element.children[index];
    if (cell) write(cell, text);
  }
  if (before?.id === row.id && before.status !== row.status && !still.matches) flash(element);
}

/** @param {HTMLElement} element */
function flash(element) {
  element.animate([{ backgroundColor: "color-mix(in srgb, var(--tone) 22%, transparent)" }, {}], { duration: 900, easing: "ease-out" });
}
