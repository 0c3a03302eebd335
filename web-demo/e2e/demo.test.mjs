/** The demo as it is shipped: `paystream demo` and its page in Chromium. */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { after, afterEach, before, beforeEach, test } from "node:test";
import { BINARY, PATIENCE_MS, launch, until } from "./support.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {import("playwright-core").Page} */
let page;
/** @type {import("node:child_process").ChildProcess} */
let demo;
let address = "";
/** What the browser complained of. @type {string[]} */
let complaints = [];

before(async () => {
  demo = spawn(BINARY, ["demo", "--port", "0"], { stdio: ["ignore", "pipe", "ignore"] });
  const output = demo.stdout;
  assert(output);
  for await (const line of createInterface({ input: output })) {
    address = /http:\S+/.exec(line)?.[0] ?? "";
    if (address) break;
  }
  // The logs that follow are read and forgotten, lest the pipe fills.
  output.resume();
  assert(address, "the demo told no address");
  browser = await launch();
});

after(async () => {
  await browser?.close();
  if (demo && demo.exitCode === null) {
    demo.kill("SIGTERM");
    await once(demo, "exit");
  }
});

beforeEach(async () => {
  complaints = [];
  page = await browser.newPage({ locale: "en-GB", reducedMotion: "reduce" });
  page.on("pageerror", (error) => complaints.push(String(error)));
  page.on("console", (message) => message.text().includes("Content Security Policy") && complaints.push(message.text()));
  // Every status and every state of the connection that the page shows, in order: what passes in a second, a test that
  // only looks now and then would miss.
  await page.addInitScript(() => {
    /** @param {string} id @param {"status" | "state"} name @param {string[]} shown */
    const record = (id, name, shown) => {
      const place = document.getElementById(id);
      if (!place) return;
      const write = () => shown.at(-1) !== place.dataset[name] && shown.push(place.dataset[name] ?? "");
      new MutationObserver(write).observe(place, { attributeFilter: [`data-${name}`] });
    };
    const shown = { statuses: [], connections: [] };
    Object.assign(window, { shown });
    addEventListener("DOMContentLoaded", () => {
      record("payment", "status", shown.statuses);
      record("connection", "state", shown.connections);
    });
  });
  await page.goto(address);
});

afterEach(async (t) => {
  // A test that fails on another machine is understood by what the page showed there.
  /** @type {import("node:test").TestContext} */ (t).diagnostic(JSON.stringify((await shown()) ?? null));
  await page.close();
  assert.deepEqual(complaints, []);
});

/** What the page has shown so far. @returns {Promise<{ statuses: string[], connections: string[] }>} */
const shown = () => page.evaluate(() => /** @type {any} */ (window).shown);

/** The page shows this status, which stays. @param {string} status */
const see = (status) => page.waitForSelector(`#payment[data-status="${status}"]`, { timeout: PATIENCE_MS });

/** The page has shown this status, be it for a moment. @param {string} status */
const pass = (status) => until(`the page shows ${status}`, async () => (await shown()).statuses.includes(status));

const timeline = () => page.locator("#timeline .code").allTextContents();

const LIFE = ["payment_intent.created", "payment_intent.processing", "payment_intent.succeeded"];

test("opening the page starts a payment, which is seen to be paid live", async () => {
  await see("captured");
  const statuses = (await shown()).statuses.filter((status) => status !== "unknown");
  assert.deepEqual(statuses, ["created", "processing", "captured"]);
  assert.deepEqual(await timeline(), LIFE);
  assert.equal(await page.textContent("h1"), "Paid. Thank you!");
  assert.match((await page.textContent("#amount")) ?? "", /^€\d+\.\d\d$/);
  assert.equal(await page.textContent("#connection"), "Live");
});

test("a page loaded again shows the payment it showed before", async () => {
  await see("captured");
  const payment = await page.textContent("#reference");
  await page.reload();
  await see("captured");
  assert.equal(await page.textContent("#reference"), payment);
  assert.deepEqual(await timeline(), LIFE);
});

test("the gateway restarts in the middle of a payment: the page recovers and the timeline is whole", async () => {
  await pass("created");
  await page.click("button[data-restart]");
  await until("the page is live again, having reconnected", async () => {
    const { connections } = await shown();
    return connections.includes("reconnecting") && connections.at(-1) === "live";
  });
  await until("all is told", async () => (await timeline()).length === LIFE.length);
  await see("captured");
  assert.deepEqual(await timeline(), LIFE);
});

test("duplicates are counted once", async () => {
  await page.click("[data-life=duplicates]");
  await until("all is told", async () => (await timeline()).length === 3);
  await see("captured");
  assert.deepEqual(await timeline(), LIFE);
});

test("late news does not move the status back", async () => {
  await page.click("[data-life=out-of-order]");
  await until("all has arrived", async () => (await page.locator(".badge").count()) === 2);
  assert.equal(await page.getAttribute("#payment", "data-status"), "captured");
});

test("the order's price stands as long as no event has told an amount, even if one told the currency", async () => {
  await see("captured");
  const [before, after] = await page.evaluate(async () => {
    const price = () => document.getElementById("amount")?.textContent;
    const { showPayment } = await import(String("/demo/view.js"));
    const before = price();
    const untold = { amount: null, captured: 0, refunded: 0, conflict: false, timeline: [] };
    showPayment({ ...untold, payment: "pi_1", seq: 0, status: "unknown", currency: "EUR", exponent: 2 });
    return [before, price()];
  });
  assert.match(before ?? "", /^€[1-9]/);
  assert.equal(after, before);
});

for (const { life, last } of [
  { life: "three-d-secure", last: "requires_action" },
  { life: "declined-then-paid", last: "failed" },
]) {
  test(`the life ${life} passes ${last} and is paid`, async () => {
    await page.click(`[data-life=${life}]`);
    await pass(last);
    await see("captured");
  });
}

for (const { life, last } of [
  { life: "refund", last: "refunded" },
  { life: "dispute", last: "charged_back" },
]) {
  test(`a paid payment lives on: ${life}`, async () => {
    await see("captured");
    const payment = await page.textContent("#reference");
    await page.click(`[data-life=${life}]`);
    await see(last);
    assert.equal(await page.textContent("#reference"), payment);
    assert.deepEqual((await timeline()).slice(0, 3), LIFE);
  });
}

test("the dashboard opens without being asked for a token, and shows the payment of the page live", async () => {
  await see("captured");
  const payment = (await page.textContent("#reference")) ?? "";
  await page.click("footer a[href='/dashboard']");
  const row = page.locator(`#rows .row:has-text("${payment}")`);
  await row.click({ timeout: PATIENCE_MS });
  await page.waitForSelector("#detail[data-state=live]", { timeout: PATIENCE_MS });
  assert.deepEqual(await timeline(), LIFE);
  assert.equal(await page.isVisible("#leave"), false);
  // The demo restarts with a data folder that outlives it, and the page comes back by itself.
  const restart = await fetch(`${address}demo/restart`, { method: "POST", headers: { "content-type": "application/json" }, body: "{}" });
  assert.equal(restart.status, 202);
  await page.waitForSelector("#connection[data-state=reconnecting]", { timeout: PATIENCE_MS });
  await page.waitForSelector("#connection[data-state=live]", { timeout: PATIENCE_MS });
  await row.waitFor({ timeout: PATIENCE_MS });
});

test("the pages keep to themselves", async () => {
  const answer = await fetch(address);
  assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'self'/);
  assert.equal(answer.headers.get("x-content-type-options"), "nosniff");
  const tag = answer.headers.get("etag") ?? "";
  assert.equal((await fetch(address, { headers: { "if-none-match": tag } })).status, 304);
  const form = await fetch(`${address}demo/restart`, { method: "POST", body: "a form of another page" });
  assert.equal(form.status, 415);
});
