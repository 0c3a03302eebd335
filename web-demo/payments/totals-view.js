/** Puts totals into a table of the page: a group of rows for each currency, a row for each status. */

import { money } from "../format.js";
import { make, write } from "./page.js";
import { LABELS, labelOf } from "./words.js";

/** @typedef {import("./totals.js").Totals} Totals */
/** @typedef {import("./totals.js").Group} Group */
/** @typedef {{ label: string, count: string, amount: string, tone: string }} Line */

const ORDER = Object.keys(LABELS);

/**
 * Shows the totals, the currency with the most payments first. Cells that stand are left alone.
 *
 * @param {HTMLTableElement} table
 * @param {Totals} totals
 */
export function showTotals(table, totals) {
  const groups = [...totals.byCurrency.values()].sort((one, other) => other.count - one.count);
  table.hidden = groups.length === 0;
  const bodies = table.tBodies;
  while (bodies.length > groups.length) bodies[bodies.length - 1]?.remove();
  for (const [index, group] of groups.entries()) showGroup(bodies[index] ?? table.createTBody(), group);
}

/** @param {HTMLTableSectionElement} body @param {Group} group */
function showGroup(body, group) {
  const { currency, exponent, captured, refunded, byStatus } = group;
  const price = (/** @type {number} */ amount) => (currency === null ? "" : money(amount, currency, exponent));
  const statuses = [...byStatus].sort(([one], [other]) => ORDER.indexOf(one) - ORDER.indexOf(other));
  /** @type {Line[]} */
  const lines = statuses.map(([status, sum]) => {
    const { label, tone } = labelOf(status);
    return { label, tone, count: sum.count.toLocaleString(), amount: price(sum.amount) };
  });
  if (captured) lines.push({ label: "Captured in all", count: "", amount: price(captured), tone: "" });
  if (refunded) lines.push({ label: "Refunded in all", count: "", amount: price(refunded), tone: "" });
  lines.unshift({ label: currency ?? "No amount yet", count: group.count.toLocaleString(), amount: "", tone: "" });

  while (body.rows.length > lines.length) body.deleteRow(-1);
  for (const [index, line] of lines.entries()) {
    const row = body.rows[index] ?? newLine(body, index === 0 ? "rowgroup" : "row");
    row.dataset.tone = line.tone;
    for (const [place, text] of [line.label, line.count, line.amount].entries()) {
      const cell = row.cells[place];
      if (cell) write(cell, text);
    }
  }
}

/** @param {HTMLTableSectionElement} body @param {"row" | "rowgroup"} scope of its first cell, which is a header */
function newLine(body, scope) {
  const row = body.insertRow();
  const head = make("th");
  head.setAttribute("scope", scope);
  row.append(head, make("td"), make("td"));
  return row;
}
