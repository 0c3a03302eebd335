/** The pages of the guide for front ends, as they stand there, on a shop's origin in Chromium. The README shows the first of them. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { after, before, test } from "node:test";
import { Shop } from "./shop.mjs";
import { Gateway, launch, token, until } from "./support.mjs";

/** The payment and the gateway's address that the guide writes. */
const PAYMENT = "pi_123";
const ADDRESS = "https://pay.shop.example";

/** Long enough for the page to open its stream, short enough to be waited for. */
const TOKEN_LIFE_S = 5;

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** The blocks of JavaScript in a page of the documentation. @param {string} page */
async function scripts(page) {
  const text = await readFile(new URL(`../../${page}`, import.meta.url), "utf8");
  return [...text.matchAll(/```js\n(.*?)```/gs)].map(([, block = ""]) => block);
}

/** The guide's pages. */
async function blocks() {
  const found = await scripts("docs/src/guides/front-end.md");
  assert.equal(found.length, 2, "the page with the package, and the one without");
  assert.deepEqual(await scripts("README.md"), found.slice(0, 1), "the README shows the same");
  const [withPackage = "", plain = ""] = found;
  const watching = /^watchPayment\(.*\n/m;
  assert.match(withPackage, watching);
  // The second takes `getToken` and `show` of the first, in place of whose last call it stands.
  return { "with the package": withPackage, "over a plain EventSource": withPackage.replace(watching, () => plain) };
}

/** Writes down every text that the page shows of the payment, be it for a moment. @param {import("playwright-core").Page} page */
async function record(page) {
  await page.addInitScript(() => {
    /** @type {string[]} */
    const shown = [];
    Object.assign(window, { shown });
    addEventListener("DOMContentLoaded", () => {
      const place = /** @type {HTMLElement} */ (document.querySelector("#payment"));
      const write = (/** @type {MutationRecord[]} */ changes) => {
        for (const { addedNodes } of changes) shown.push(...[...addedNodes].map((node) => node.textContent ?? ""));
      };
      new MutationObserver(write).observe(place, { childList: true });
    });
  });
}

for (const [name, script] of Object.entries(await blocks())) {
  test(`the guide's page ${name} outlives its token, and shows each change once and nothing undefined`, async (t) => {
    const shop = await Shop.start();
    const gateway = await Gateway.start({ cors: [shop.url], linger: "2s" });
    const page = await browser.newPage();
    /** @type {string[]} */
    const requests = [];
    /** @type {string[]} */
    const errors = [];
    page.on("request", (request) => request.url().includes("/events?") && requests.push(request.url()));
    page.on("pageerror", (error) => errors.push(String(error)));
    /** @returns {Promise<string[]>} */
    const shown = () => page.evaluate(() => /** @type {any} */ (window).shown);
    const sees = (/** @type {string} */ text) => until(`the page shows ${text}`, async () => (await shown()).at(-1) === text);
    t.after(async () => {
      t.diagnostic(JSON.stringify([await shown(), requests.length, shop.asked]));
      await Promise.all([page.close(), shop.stop(), gateway.stop()]);
    });

    // The first token ends soon. When the next one is asked for, the shop is away once, and then something has happened.
    shop.token = async (asked) => {
      if (asked === 1) return { body: { token: token(PAYMENT, TOKEN_LIFE_S) } };
      if (asked === 2) return { status: 503 };
      if (asked === 3) await gateway.post(PAYMENT, "payment_intent.processing");
      return { body: { token: token(PAYMENT) } };
    };
    shop.script = script.replaceAll(ADDRESS, gateway.url);
    await record(page);
    await page.goto(shop.url);
    await sees("unknown ");
    await gateway.post(PAYMENT, "payment_intent.created");
    await sees("created 42.00 EUR");
    await sees("processing 42.00 EUR");
    assert(shop.asked >= 3, `${shop.asked}`);
    await gateway.post(PAYMENT, "payment_intent.succeeded");
    await sees("captured 42.00 EUR");

    // The payment is finished after two seconds of silence. Whoever came back after that would be asking for ever.
    await page.waitForTimeout(2_500);
    const [opened, asked] = [requests.length, shop.asked];
    await page.waitForTimeout(4_000);
    assert.deepEqual([requests.length, shop.asked], [opened, asked]);
    const expected = ["unknown ", "created 42.00 EUR", "processing 42.00 EUR", "captured 42.00 EUR"];
    assert.deepEqual(await shown(), expected);
    assert.deepEqual(errors, []);
  });
}
