/** What the dashboard knows without a page: the order of payments, their sums, the token in a paste. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { Book } from "../payments/book.js";
import { tokenIn } from "../payments/session.js";
import { Totals } from "../payments/totals.js";

/** @typedef {import("../payments/gateway.js").Entry} Entry */

/** Whole numbers below `most`, the same ones at each run of the tests. @param {number} seed */
function numbers(seed) {
  let state = seed;
  return (/** @type {number} */ most) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * most);
  };
}

/** @param {string} payment @param {Partial<Entry>} [more] @returns {Entry} */
function entry(payment, more = {}) {
  const state = { status: /** @type {const} */ ("captured"), amount: 100, currency: "EUR", exponent: 2, captured: 100, refunded: 0 };
  const first_seen = "2026-11-30T12:00:00.000Z";
  const listed = { provider: "stripe", source: "stripe", live: true, first_seen, changed: first_seen };
  return { payment, seq: 1, ...state, conflict: false, failure: null, action: null, ...listed, ...more };
}

test("after any changes the book holds the newest word about each payment, in order, and their sums", () => {
  const random = numbers(7);
  const pick = (/** @type {any[]} */ values) => values[random(values.length)];
  const book = new Book();
  /** @type {Map<string, Entry>} */
  let model = new Map();
  for (let round = 0; round < 300; round += 1) {
    /** @type {Map<string, Entry | null>} */
    const changes = new Map();
    for (let change = random(8); change >= 0; change -= 1) {
      const payment = `pi_${random(60)}`;
      const known = model.get(payment);
      const first_seen = known?.first_seen ?? `2026-11-30T12:00:${String(random(60)).padStart(2, "0")}.000Z`;
      const [currency, exponent] = pick([["EUR", 2], ["JPY", 0], ["BTC", 8], ["BTC", 6], [null, null]]);
      const status = pick(["created", "captured", "refunded"]);
      const amount = currency ? random(10_000) : null;
      const seq = Math.max(1, (known?.seq ?? 0) + random(4) - 1);
      changes.set(payment, random(5) ? entry(payment, { seq, status, currency, exponent, amount, first_seen, provider: pick(["a", "b"]) }) : null);
    }
    book.apply(changes);
    for (const [payment, change] of changes) {
      if (!change) model.delete(payment);
      else if (change.seq > (model.get(payment)?.seq ?? 0)) model.set(payment, change);
    }
    const expected = [...model.values()].sort((one, other) =>
      one.first_seen === other.first_seen ? (one.payment < other.payment ? -1 : 1) : one.first_seen > other.first_seen ? -1 : 1,
    );
    assert.deepEqual(book.rows.map(({ id, ...row }) => row), expected);
    assert.deepEqual(book.rows.map(book.indexOf), [...expected.keys()]);
    const totals = new Totals();
    for (const one of expected) totals.add(one);
    assert.deepEqual(book.totals, totals);
  }
});

test("a payment that comes back into the list stands where it is first seen anew", () => {
  const book = new Book();
  const at = (/** @type {number} */ minute) => `2026-11-30T12:0${minute}:00.000Z`;
  book.apply([1, 2, 3].map((minute) => [`pi_${minute}`, entry(`pi_${minute}`, { first_seen: at(minute) })]));
  book.apply([["pi_1", entry("pi_1", { seq: 2, first_seen: at(9) })]]);
  assert.deepEqual(book.rows.map(({ id }) => id), ["pi_1", "pi_3", "pi_2"]);
});

test("no more payments are kept than may be: the newest, and the sums are theirs", () => {
  const book = new Book();
  const at = (/** @type {number} */ second) => `2026-11-30T12:00:${second}.000Z`;
  for (let second = 10; second < 60; second += 1) book.apply([[`pi_${second}`, entry(`pi_${second}`, { first_seen: at(second) })]], 20);
  assert.deepEqual([book.size, book.rows.length, book.rows[0]?.id, book.rows.at(-1)?.id], [20, 20, "pi_59", "pi_40"]);
  assert.deepEqual([...book.totals.byCurrency.values()].map(({ count, captured }) => [count, captured]), [[20, 2_000]]);
});

test("a search finds by any part of the id, also what comes later", () => {
  const book = new Book();
  book.search("ab");
  book.apply([["pi_abc", entry("pi_abc")], ["pi_xyz", entry("pi_xyz")]]);
  book.apply([["pi_cab", entry("pi_cab")]]);
  assert.deepEqual(book.rows.map(({ id }) => id), ["pi_abc", "pi_cab"]);
  book.search("");
  assert.equal(book.rows.length, 3);
});

test("a token is found in what people paste, and nothing else is taken for one", () => {
  for (const text of ["a.b-_.c", "  a.b-_.c\n", "Bearer a.b-_.c", "bearer   a.b-_.c"]) assert.equal(tokenIn(text), "a.b-_.c", text);
  for (const text of ["", "a.b", "a.b.c.d", "a.b.c d", "Basic a.b.c", "a.b.c\r\nX-Header: 1", "ä.b.c", "a..c"]) assert.equal(tokenIn(text), undefined, text);
});
