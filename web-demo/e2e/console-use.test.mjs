/** The console for everyone: by keyboard, with a screen reader, on a phone, in the dark. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ConsolePage, startGateway } from "./console-page.mjs";
import { launch, newPayment, token, until, webhook } from "./support.mjs";

const PAID = "payment_intent.succeeded";
const WIDE = { width: 1_400, height: 900 };
const PHONE = { width: 390, height: 800 };
const PAGES = ["Overview", "Deliveries", "Quarantine", "Payment", "Streams"];

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("./support.mjs").Gateway} */
let gateway;
const payment = newPayment();
/** @type {Response} */
let stream;

before(async () => {
  [browser, gateway] = await Promise.all([launch(), startGateway()]);
  await gateway.post(payment, PAID);
  await gateway.post(newPayment(), PAID, { amount: "many", amount_received: "many" });
  const { headers, body } = webhook(newPayment(), PAID);
  await fetch(`${gateway.url}/webhooks/stripe`, { method: "POST", headers, body: `${body} ` });
  stream = await fetch(`${gateway.url}/v1/payments/${payment}/events`, { headers: { authorization: `Bearer ${token(payment)}` } });
});

after(async () => {
  await stream?.body?.cancel();
  await browser?.close();
  await gateway?.stop();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  for (const [name, viewport] of Object.entries({ wide: WIDE, phone: PHONE })) {
    test(`axe finds nothing on any page, and none is wider than the screen (${colorScheme}, ${name})`, async () => {
      const options = { viewport, colorScheme, reducedMotion: /** @type {const} */ ("reduce") };
      const console = await ConsolePage.enter(browser, gateway, { options, token: null });
      const { page } = console;
      const fits = async (/** @type {string} */ what) => {
        await console.isAccessible(what);
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth - innerWidth), 0, what);
      };
      await fits("gate");
      await console.signIn("no-token-of-this-gateway");
      await console.says("gate-title", "The token is not accepted");
      await fits("a token that is refused");
      await console.signIn("an-admin-token-of-the-tests-7c41");
      await console.says("sources", /stripe/);
      await fits("overview");

      await console.go("Deliveries");
      await console.says("deliveries-text", "3 deliveries · Following");
      await fits("deliveries");
      await page.click("#deliveries-rows tr:first-child button");
      await console.says("delivery-reason", /./);
      await fits("a delivery");
      await page.fill("#deliveries-filter [name=reason]", "???");
      await console.says("deliveries-error", /reason/);
      await fits("a filter that is refused");

      await console.go("Quarantine");
      await console.says("quarantine-text", "1 event");
      await page.click("#quarantine-rows button");
      await console.says("held-body", /./);
      await fits("quarantine");
      await page.click("#discard-one");
      await fits("a question");
      await page.keyboard.press("Escape");

      await console.go("Payment");
      await page.fill("#payment-form [name=payment]", payment);
      await until("the realm is offered", async () => (await page.inputValue("#payment-form [name=realm]")) === "default");
      await page.keyboard.press("Enter");
      await console.says("detail-status", "Captured");
      await fits("payment");

      await console.go("Streams");
      await console.says("streams-rows", new RegExp(payment));
      await fits("streams");
      await console.close();
    });
  }
}

test("every page is reached, a delivery opened and left, and a stream's end confirmed by keyboard alone", async () => {
  const console = await ConsolePage.enter(browser, gateway, { options: { viewport: WIDE } });
  const { page } = console;
  const tabTo = async (/** @type {string} */ selector) => {
    const isThere = () => page.evaluate((selector) => document.activeElement?.matches(selector) ?? false, selector);
    for (let step = 0; step < 60 && !(await isThere()); step += 1) await page.keyboard.press("Tab");
    assert(await isThere(), `${selector} is reached`);
  };
  for (const name of PAGES) {
    await page.evaluate(() => /** @type {HTMLElement | null} */ (document.activeElement)?.blur());
    await tabTo(`#nav a[href="#/${name.toLowerCase()}"]`);
    await page.keyboard.press("Enter");
    await console.isFocused(`${name.toLowerCase()}-title`);
    assert.equal(await page.getAttribute(`#nav a[href="#/${name.toLowerCase()}"]`, "aria-current"), "page");
  }
  await console.says("streams-rows", new RegExp(payment));
  await tabTo("#streams-rows button");
  await page.keyboard.press("Enter");
  await console.isFocused("confirm-reason");
  await page.keyboard.press("Escape");
  await console.go("Deliveries");
  await console.says("deliveries-text", /Following$/);
  await tabTo("#deliveries-rows button");
  await page.keyboard.press("Enter");
  await console.isFocused("delivery-title");
  await page.keyboard.press("Escape");
  assert(await page.evaluate(() => document.activeElement?.matches("#deliveries-rows button")));
  await console.close();
});

test("a screen reader is told of the connection, and not of each delivery", async () => {
  const console = await ConsolePage.enter(browser, gateway, { place: "#/deliveries" });
  const { page } = console;
  await console.says("deliveries-text", /Following$/);
  await page.evaluate(() => {
    /** @type {string[]} */
    const told = [];
    Object.assign(window, { told });
    for (const place of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
      new MutationObserver(() => told.push(place.textContent?.trim() ?? "")).observe(place, { childList: true, characterData: true, subtree: true });
    }
  });
  const count = (await console.lines("deliveries-rows")).length;
  for (let made = 0; made < 10; made += 1) await gateway.post(newPayment(), PAID);
  await until("they came", async () => (await console.lines("deliveries-rows")).length === count + 10);
  assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).told), []);
  await console.close();
});
