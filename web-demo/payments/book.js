/**
 * The payments that the page knows, newest first, with their sums. Pure: knows neither the page nor the gateway.
 *
 * Changes come in batches, so that thousands of them cost one pass over the rows.
 */

import { Totals } from "./totals.js";

/** @typedef {import("./gateway.js").Entry} Entry */
/** A payment of the list. It is replaced, never changed, so that whoever shows it sees by its identity whether to write anew.
 * @typedef {Entry & { id: string }} Row */

export class Book {
  /** @type {Map<string, Row>} */
  #byId = new Map();
  /** Newest first. @type {Row[]} */
  #rows = [];
  /** @type {string} */
  #search = "";
  /** The rows that the search finds; `#rows` itself without a search. @type {Row[]} */
  #found = this.#rows;
  totals = new Totals();

  get size() {
    return this.#byId.size;
  }

  /** The rows that the search finds, newest first. @returns {readonly Row[]} */
  get rows() {
    return this.#found;
  }

  /** @param {string} id */
  get(id) {
    return this.#byId.get(id);
  }

  /**
   * Takes over the newest word about each payment; `null` for one that is gone. A word that is known, or older, is left out.
   *
   * @param {Iterable<[string, Entry | null]>} changes
   * @param {number} most keep no more than this many payments, the newest
   * @returns {boolean} whether anything changed
   */
  apply(changes, most = Infinity) {
    /** @type {Row[]} */
    const added = [];
    /** @type {Set<string>} */
    const removed = new Set();
    let changed = false;
    for (const [id, entry] of changes) {
      const known = this.#byId.get(id);
      if (entry ? known && !isNewer(entry, known) : !known) continue;
      changed = true;
      if (known) this.totals.subtract(known);
      if (entry) {
        const row = { ...entry, id };
        this.totals.add(row);
        this.#byId.set(id, row);
        if (known?.first_seen !== row.first_seen) added.push(row);
        if (known && known.first_seen !== row.first_seen) removed.add(id);
      } else {
        this.#byId.delete(id);
        removed.add(id);
      }
    }
    if (changed) this.#order(added, removed, most);
    return changed;
  }

  /** Finds only payments whose id contains `text`; all of them if it is empty. @param {string} text */
  search(text) {
    this.#search = text;
    this.#find();
  }

  clear() {
    this.#byId.clear();
    this.#rows = [];
    this.totals = new Totals();
    this.#find();
  }

  /** Where a row, or a newer word about the same payment, stands in `rows`; -1 if it does not. @param {Row} row */
  indexOf = (row) => {
    const rows = this.#found;
    let [low, high] = [0, rows.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (order(/** @type {Row} */ (rows[middle]), row) < 0) low = middle + 1;
      else high = middle;
    }
    return rows[low]?.id === row.id ? low : -1;
  };

  /** @param {Row[]} added @param {Set<string>} removed @param {number} most */
  #order(added, removed, most) {
    added.sort(order);
    /** @type {Row[]} */
    const rows = [];
    let next = 0;
    for (const old of this.#rows) {
      const row = removed.has(old.id) ? undefined : this.#byId.get(old.id);
      if (!row) continue;
      for (let one = added[next]; one && order(one, row) < 0; one = added[++next]) rows.push(one);
      rows.push(row);
    }
    for (; next < added.length; next += 1) rows.push(/** @type {Row} */ (added[next]));
    for (const row of rows.splice(most)) {
      this.#byId.delete(row.id);
      this.totals.subtract(row);
    }
    this.#rows = rows;
    this.#find();
  }

  #find() {
    this.#found = this.#search ? this.#rows.filter((row) => row.id.includes(this.#search)) : this.#rows;
  }
}

/** @param {Entry} entry @param {Row} known */
function isNewer(entry, known) {
  return entry.seq > known.seq || (entry.seq === known.seq && entry.first_seen !== known.first_seen);
}

/** Newest first; those of one moment by id, so that the order is the same each time. @param {Row} one @param {Row} other */
function order(one, other) {
  if (one.first_seen !== other.first_seen) return one.first_seen > other.first_seen ? -1 : 1;
  return one.id < other.id ? -1 : one.id > other.id ? 1 : 0;
}
