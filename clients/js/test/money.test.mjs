/** Prices, whatever the currency's minor unit. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { money } from "../src/index.js";

test("an amount in minor units becomes a price", () => {
  for (const { amount, currency, exponent, price } of [
    { amount: 12900, currency: "EUR", exponent: 2, price: "€129.00" },
    { amount: 12900, currency: "EUR", exponent: undefined, price: "€129.00" },
    { amount: 500, currency: "JPY", exponent: 0, price: "¥500" },
    { amount: 500, currency: "JPY", exponent: null, price: "¥500" },
    { amount: 1234, currency: "KWD", exponent: 3, price: "KWD\u00a01.234" },
    { amount: 5, currency: "EUR", exponent: 2, price: "€0.05" },
    { amount: -1205, currency: "EUR", exponent: 2, price: "-€12.05" },
    { amount: 0, currency: "EUR", exponent: 2, price: "€0.00" },
    { amount: 150_000, currency: "BTC", exponent: 8, price: "BTC\u00a00.0015" },
    { amount: 1_500_000, currency: "USDT", exponent: 6, price: "1.50 USDT" },
    { amount: 1_234_567_890_123_456_789n, currency: "ETH", exponent: 18, price: "ETH\u00a01.234567890123456789" },
    { amount: 1_234_567_890_123_456_789n, currency: "STETH", exponent: 18, price: "1.234567890123456789 STETH" },
    { amount: null, currency: "EUR", exponent: 2, price: "" },
    { amount: 500, currency: null, exponent: null, price: "" },
  ]) {
    assert.equal(money(amount, currency, exponent, "en"), price, `${amount} ${currency}`);
  }
  assert.equal(money(123456, "EUR", 2, "de"), "1.234,56\u00a0€");
});

test("without an exponent it is ISO 4217's, as the gateway has it, not the one by which a browser rounds", async () => {
  const rust = await readFile(new URL("../../../src/payment/money.rs", import.meta.url), "utf8");
  const table = /const EXPONENTS[^=]*= &?\[(.*?)\];/s.exec(rust)?.[1] ?? "";
  const exponents = [...table.matchAll(/\("([A-Z]{3})", (\d)\)/g)].map(([, code = "", exponent]) => ({ code, exponent: Number(exponent) }));
  assert(exponents.length > 20, rust.slice(0, 2_000));
  for (const { code, exponent } of [...exponents, { code: "AFN", exponent: 2 }, { code: "IRR", exponent: 2 }]) {
    assert.equal(money(1_000_000, code, undefined, "en"), money(1_000_000, code, exponent, "en"), code);
  }
});
