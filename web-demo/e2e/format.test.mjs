/** Prices, whatever the currency's minor unit. */

import assert from "node:assert/strict";
import { test } from "node:test";
import { money } from "../format.js";

test("an amount in minor units becomes a price", () => {
  for (const { amount, currency, exponent, price } of [
    { amount: 12900, currency: "EUR", exponent: 2, price: "€129.00" },
    { amount: 12900, currency: "EUR", exponent: undefined, price: "€129.00" },
    { amount: 500, currency: "JPY", exponent: 0, price: "¥500" },
    { amount: 500, currency: "JPY", exponent: undefined, price: "¥500" },
    { amount: 1234, currency: "KWD", exponent: 3, price: "KWD\u00a01.234" },
    { amount: 150_000, currency: "BTC", exponent: 8, price: "BTC\u00a00.0015" },
    { amount: 1_500_000, currency: "USDT", exponent: 6, price: "1.50 USDT" },
  ]) {
    assert.equal(money(amount, currency, exponent, "en"), price);
  }
});
