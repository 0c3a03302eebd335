/** The operators' console of a real gateway in Chromium: who gets in, what it shows of the gateway and its deliveries, and a restart. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { ADMIN_TOKEN, ConsolePage, READER_TOKEN, startGateway } from "./console-page.mjs";
import { Gateway, launch, newPayment, until, webhook } from "./support.mjs";

const [CREATED, PAID] = ["payment_intent.created", "payment_intent.succeeded"];

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** A gateway of its own for a test. @param {import("node:test").TestContext} t */
async function start(t) {
  const gateway = await startGateway();
  t.after(() => gateway.stop());
  return gateway;
}

/** Posts a webhook whose signature is wrong. @param {import("./support.mjs").Gateway} gateway @param {string} payment */
async function forge(gateway, payment) {
  const { headers, body } = webhook(payment, PAID);
  const answer = await fetch(`${gateway.url}/webhooks/stripe`, { method: "POST", headers, body: `${body} ` });
  assert.equal(answer.status, 401);
}

test("the admin token opens the console, and the browser keeps a session that no script can read", async (t) => {
  const gateway = await start(t);
  const console = await ConsolePage.enter(browser, gateway, { token: null });
  const { page } = console;
  await console.isFocused("token");
  assert.equal(await page.isVisible("#nav"), false);
  await console.signIn("not-the-admin-token-at-all");
  await console.says("gate-title", "The token is not accepted");
  assert.equal(await page.inputValue("#token"), "");

  await console.signIn(`Bearer ${ADMIN_TOKEN}`);
  await console.live();
  await console.says("who", "admin");
  await console.hides(ADMIN_TOKEN);
  const [cookie] = await page.context().cookies(`${gateway.admin}/admin`);
  assert(cookie);
  assert.deepEqual([cookie.name, cookie.httpOnly, cookie.sameSite, cookie.path], [`paystream_console_${new URL(gateway.admin).port}`, true, "Strict", "/admin"]);
  await console.hides(cookie.value);
  await page.reload();
  await console.live();

  await page.click("#leave");
  await console.says("gate-title", "Signed out");
  assert.deepEqual(await page.context().cookies(), []);
  await page.reload();
  await console.says("gate-title", "Sign in");
  const kept = await fetch(`${gateway.admin}/admin/sources`, { headers: { cookie: `${cookie.name}=${cookie.value}` } });
  assert.equal(kept.status, 401);
  await console.close();
});

test("a gateway without an admin token says so, and asks for none", async (t) => {
  const gateway = await Gateway.start();
  t.after(() => gateway.stop());
  const page = await browser.newPage();
  await page.goto(`${gateway.admin}/console`);
  const console = new ConsolePage(page, gateway.admin);
  await console.says("gate-title", "The console is closed");
  assert.deepEqual([await page.isVisible("#token-form"), await page.isVisible("#nav")], [false, false]);
  await console.close();
});

test("a page of another port of this host can send the cookie along, and changes nothing", async (t) => {
  const gateway = await start(t);
  const console = await ConsolePage.enter(browser, gateway);
  // The public listener's port: the same site to a browser.
  const other = await console.page.context().newPage();
  // Without a security policy that would keep it from asking elsewhere.
  await other.goto(`${gateway.url}/problems/expired`);
  const outcome = await other.evaluate(async (admin) => {
    const ask = (/** @type {string} */ path, /** @type {RequestInit} */ how) => fetch(`${admin}${path}`, { credentials: "include", ...how }).then(({ status }) => status, ({ name }) => name);
    const opaque = { mode: /** @type {const} */ ("no-cors") };
    await ask("/admin/session", { method: "POST", ...opaque });
    await ask("/admin/store/backup", opaque);
    await ask("/admin/quarantine/replay?source=stripe", { method: "POST", ...opaque });
    return [await ask("/admin/sources", {}), await ask("/admin/session", { method: "DELETE", headers: { "x-paystream-console": "1" } })];
  }, gateway.admin);
  assert.deepEqual(outcome, ["TypeError", "TypeError"]);
  const counted = await fetch(`${gateway.admin}/metrics`).then((answer) => answer.text());
  assert.match(counted, /paystream_admin_refusals_total\{reason="cross_site"\} [4-9]/, "the cookie came along");
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  const { entries } = await fetch(`${gateway.admin}/admin/audit`, { headers: { authorization } }).then((answer) => answer.json());
  assert.deepEqual(entries, []);
  await console.page.reload();
  await console.live();
  await other.close();
  await console.close();
});

test("who may only read sees everything, and no button that changes anything", async (t) => {
  const gateway = await start(t);
  await gateway.post(newPayment(), PAID, { amount_received: "many", amount: "many" });
  const console = await ConsolePage.enter(browser, gateway, { token: READER_TOKEN });
  const { page } = console;
  await console.says("who", "bob, for reading alone");
  await console.go("Quarantine");
  await console.says("quarantine-text", "1 event");
  assert.equal(await page.isVisible("#replay-many"), false);
  await page.click("#quarantine-rows button");
  await console.says("held-facts", /Reason/);
  assert.deepEqual([await page.isVisible("#replay-one"), await page.isVisible("#discard-one")], [false, false]);
  await console.close();
});

test("the overview shows health, rates, latency, outcomes, sources with their windows, the node and its store", async (t) => {
  const gateway = await start(t);
  const console = await ConsolePage.enter(browser, gateway);
  const { page } = console;
  await console.says("tiles", /Node\s+Ready/);
  await console.says("outcomes-text", "No event has come yet.");
  await gateway.post(newPayment(), PAID);
  await forge(gateway, newPayment());
  await console.says("outcomes-text", "The most frequent reasons: bad_signature (1).");
  await until("the outcomes are drawn", async () => /accepted1rejected1/.test((await page.textContent("#outcomes")) ?? ""));
  await console.says("rate-text", /at most\.$/);
  const [line = ""] = await console.lines("sources");
  assert.match(line, /^stripe stripe default no failures after \d+ d of failures/);
  await console.says("shards-text", "An embedded store in this node's own folder; it is fit for use.");
  await console.says("node", /Up for/);
  assert.equal(await page.locator("svg.chart").count(), 3);
  await console.close();
});

test("deliveries come by themselves, a filter finds some, and one that is opened says why it was refused", async (t) => {
  const gateway = await start(t);
  const [paid, forged] = [newPayment(), newPayment()];
  await gateway.post(paid, PAID);
  const console = await ConsolePage.enter(browser, gateway, { place: "#/deliveries" });
  const { page } = console;
  await console.says("deliveries-text", "1 delivery · Following");
  await forge(gateway, forged);
  await console.says("deliveries-text", "2 deliveries · Following");
  const [newest = ""] = await console.lines("deliveries-rows");
  assert.match(newest, /rejected: bad_signature stripe/);

  await page.click("#deliveries-rows tr:first-child button");
  await console.isFocused("delivery-title");
  await console.says("delivery-outcome", "Rejected");
  await console.says("delivery-reason", /signature/);
  await console.says("delivery-facts", /bad_signature/);
  await page.keyboard.press("Escape");
  assert.equal(await page.isVisible("#delivery"), false);
  assert.equal(await page.evaluate(() => document.activeElement?.closest("tr") !== null), true, "the keyboard is where it was");

  await page.selectOption("#deliveries-filter [name=outcome]", "accepted");
  await console.says("deliveries-text", "1 delivery · Following");
  await page.uncheck("#deliveries-filter [name=follow]");
  await console.says("deliveries-text", "1 delivery");
  assert.equal(page.url(), `${gateway.admin}/console#/deliveries?outcome=accepted&follow=no`);
  await page.reload();
  await console.says("deliveries-text", "1 delivery");
  await page.fill("#deliveries-filter [name=payment]", "pi_of_nobody");
  await console.says("deliveries-error", /^Nothing is known of this payment/);
  await page.fill("#deliveries-filter [name=payment]", paid);
  await console.says("deliveries-text", "1 delivery");
  await page.click("#deliveries-rows button");
  await page.click("#delivery-links a:text('The payment')");
  await console.says("detail-status", "Captured");
  await console.close();
});

test("a delivery's diagnosis is shown as it stands", async (t) => {
  const gateway = await start(t);
  await forge(gateway, newPayment());
  const diagnosis = { cause: "The secret has <b>white space</b> around it.", change: "Remove it from the configuration.", sure: true };
  const console = await ConsolePage.enter(browser, gateway, { place: "#/deliveries?follow=no" });
  const { page } = console;
  await page.route("**/admin/deliveries?*", async (route) => {
    const answer = await route.fetch();
    const { records, next } = await answer.json();
    await route.fulfill({ response: answer, json: { records: records.map((/** @type {object} */ record) => ({ ...record, diagnosis })), next } });
  });
  await page.reload();
  await page.click("#deliveries-rows button");
  await console.says("diagnosis-cause", diagnosis.cause);
  await console.says("diagnosis-change", diagnosis.change);
  await console.says("diagnosis-sure", "certain");
  await console.close();
});

test("the gateway is killed and comes back: the console says so, and goes on by itself", async (t) => {
  const gateway = await start(t);
  await gateway.post(newPayment(), CREATED);
  const console = await ConsolePage.enter(browser, gateway, { place: "#/deliveries" });
  const { page } = console;
  await console.says("deliveries-text", "1 delivery · Following");
  await gateway.kill();
  await console.says("connection", "Reconnecting");
  await console.says("banner", /^The gateway does not answer/);
  assert.equal((await console.lines("deliveries-rows")).length, 1, "what is known stays in sight");
  await gateway.run();
  await gateway.post(newPayment(), PAID);
  await console.live();
  await console.says("banner", /^The gateway has restarted/);
  await console.says("deliveries-text", "2 deliveries · Following");

  // A page that was loaded anew knows no token, so it asks for one, and goes on where it was.
  await page.reload();
  await console.live();
  await gateway.kill();
  await console.says("connection", "Reconnecting");
  await gateway.run();
  await console.says("gate-title", "Sign in again");
  assert.equal(await page.isVisible("#deliveries"), false);
  await console.signIn(ADMIN_TOKEN);
  await console.says("deliveries-text", /Following$/);
  await console.hides(ADMIN_TOKEN);
  await console.close();
});
