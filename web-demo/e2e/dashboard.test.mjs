/** The dashboard of a real gateway in Chromium: who may see it, what it shows, and that it stays in step. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DashboardPage } from "./dashboard-page.mjs";
import { Gateway, launch, newPayment, token, until } from "./support.mjs";

const [CREATED, PAID, FAILED] = ["payment_intent.created", "payment_intent.succeeded", "payment_intent.payment_failed"];

/** @type {import("playwright-core").Browser} */
let browser;

before(async () => {
  browser = await launch();
});

after(() => browser?.close());

/** A gateway of its own for a test. @param {import("node:test").TestContext} t @param {Parameters<typeof Gateway.start>[0]} [settings] */
async function start(t, settings) {
  const gateway = await Gateway.start(settings);
  t.after(() => gateway.stop());
  return gateway;
}

/** Payments that were created one after the other. @param {Gateway} gateway @param {number} count @param {object} [object] */
async function create(gateway, count, object) {
  const payments = [];
  for (let made = 0; made < count; made += 1) {
    const payment = newPayment();
    await gateway.post(payment, CREATED, object);
    payments.push(payment);
    // The list is ordered by milliseconds.
    await new Promise((resolve) => setTimeout(resolve, 3));
  }
  return payments;
}

test("a token opens the page, is kept in its tab only, and never stands in an address", async (t) => {
  const gateway = await start(t);
  const [payment = ""] = await create(gateway, 1);
  const dashboard = await DashboardPage.open(browser, gateway.url, { bearer: null });
  const { page } = dashboard;
  const paste = async (/** @type {string} */ text) => {
    await page.fill("#token", text);
    await page.press("#token", "Enter");
  };
  await dashboard.says("gate-title", "Open with a token");
  await dashboard.isFocused("token");
  assert.equal(await page.isVisible("#browse"), false);
  await paste("something else");
  await dashboard.says("token-error", /^This is no token/);

  await paste(`${token("*").slice(0, -6)}AAAAAA`);
  await dashboard.says("gate-title", "The token is not accepted");
  await paste(token(payment));
  await dashboard.says("gate-title", "No right to see all payments");
  await dashboard.says("gate-text", /operator's key/);
  await paste(token("*", -60));
  await dashboard.says("gate-title", "The token has expired");
  assert.equal(await page.isVisible("#browse"), false);

  const good = token("*");
  await paste(`Bearer ${good}`);
  await dashboard.shows(payment);
  await dashboard.live();
  assert.equal(await page.inputValue("#token"), "");
  await page.reload();
  await dashboard.shows(payment);

  await page.click("#rows .row");
  await dashboard.says("detail-status", "Created");
  const kept = await page.evaluate(() => [localStorage.length, document.cookie, Object.values(sessionStorage)]);
  assert.deepEqual(kept, [0, "", [good]]);
  assert.deepEqual(dashboard.requests.filter((request) => request.includes("token=") || request.includes("eyJ")), []);
  const other = await DashboardPage.open(browser, gateway.url, { bearer: null });
  await other.says("gate-title", "Open with a token");
  await other.close();

  await page.click("#leave");
  await dashboard.says("gate-title", "Open with a token");
  assert.deepEqual(await dashboard.rows(), {});
  assert.equal(await page.isVisible("#detail"), false);
  assert.equal(await page.evaluate(() => sessionStorage.length), 0);
  await dashboard.close();
});

test("a token in the fragment opens the page and is taken out of the address at once", async (t) => {
  const gateway = await start(t);
  const [payment = ""] = await create(gateway, 1);
  const dashboard = await DashboardPage.open(browser, gateway.url, { fragment: "status=created" });
  await dashboard.shows(payment);
  assert.equal(dashboard.page.url(), `${gateway.url}/dashboard#status=created`);
  await dashboard.close();
});

test("a token that expires shuts the page, and nothing of the payments stays in it", async (t) => {
  const gateway = await start(t);
  const [payment = ""] = await create(gateway, 1);
  const dashboard = await DashboardPage.open(browser, gateway.url, { bearer: token("*", 4) });
  await dashboard.shows(payment);
  await dashboard.page.click("#rows .row");
  await dashboard.says("gate-title", "The token has expired");
  assert.equal(await dashboard.page.isVisible("#detail"), false);
  assert.deepEqual([await dashboard.rows(), await dashboard.page.isVisible("#browse")], [{}, false]);
  await dashboard.close();
});

test("payments come, change and are summed up live, and one that is opened shows its timeline", async (t) => {
  const gateway = await start(t);
  const dashboard = await DashboardPage.open(browser, gateway.url);
  await dashboard.says("empty-text", /^No payment has come yet/);
  const [first = "", second = ""] = await create(gateway, 2);
  await gateway.post(first, PAID);
  await dashboard.shows(second, first);
  await dashboard.showsStatus(first, "Captured");
  assert.equal((await dashboard.rows())[first]?.amount, "€42.00");
  await until("the totals are right", async () => {
    const totals = (await dashboard.totals()).join("|");
    return totals === "EUR 2|Created 1 €42.00|Captured 1 €42.00|Captured in all €42.00";
  });

  await dashboard.page.click(`#rows .row:has-text("${second}")`);
  await dashboard.says("detail-status", "Created");
  await dashboard.says("detail-id", second);
  await gateway.post(second, FAILED, { last_payment_error: { code: "card_declined", decline_code: "insufficient_funds" } });
  await dashboard.says("detail-status", "Failed");
  await dashboard.says("detail-facts", /Insufficient funds/);
  const types = () => dashboard.page.locator("#timeline .code").allTextContents();
  assert.deepEqual(await types(), [CREATED, FAILED]);
  await gateway.post(second, PAID);
  await until("the timeline goes on", async () => (await types()).join() === [CREATED, FAILED, PAID].join());
  await dashboard.showsStatus(second, "Captured");
  await dashboard.close();
});

test("what a payer can put into a payment is shown as it stands, and is no part of the page", async (t) => {
  const gateway = await start(t);
  const ids = ['"><img/src=x/onerror=window.owned=1>', "..", "a/../b?c#d&e=%2F", "events"];
  for (const id of ids) await gateway.post(id, CREATED);
  const dashboard = await DashboardPage.open(browser, gateway.url);
  const listed = ids.slice(0, 3);
  await until("they are listed", async () => Object.keys(await dashboard.rows()).length === listed.length);
  for (const id of listed) {
    await dashboard.page.locator("#rows .row", { has: dashboard.page.getByText(id, { exact: true }) }).click();
    await dashboard.says("detail-id", id);
    await dashboard.says("detail-status", "Created");
  }
  assert.deepEqual(await dashboard.page.evaluate(() => [document.images.length, "owned" in window]), [0, false]);
  await dashboard.close();
});

test("filters ask the gateway, a payment that leaves them goes, and they outlive a reload", async (t) => {
  const gateway = await start(t);
  const [euro = ""] = await create(gateway, 1);
  const [yen = ""] = await create(gateway, 1, { currency: "jpy", amount: 500 });
  const [much = ""] = await create(gateway, 1, { amount: 1_000_00 });
  const dashboard = await DashboardPage.open(browser, gateway.url);
  const { page } = dashboard;
  await dashboard.shows(much, yen, euro);

  await page.selectOption("[name=status]", "created");
  await dashboard.shows(much, yen, euro);
  await gateway.post(euro, PAID);
  await dashboard.shows(much, yen);
  await page.selectOption("[name=status]", "Paid");
  await dashboard.shows(euro);

  await page.reload();
  await dashboard.shows(euro);
  assert.equal(await page.inputValue("[name=status]"), "Paid");
  await page.selectOption("[name=status]", "");
  await page.fill("[name=amount_min]", "43");
  await dashboard.says("filter-error", "An amount needs a currency as well.");
  assert.equal(await page.evaluate(() => document.activeElement?.getAttribute("name")), "amount_min", "nobody is torn from a field");
  await page.fill("[name=currency]", "eur");
  await dashboard.shows(much);
  await page.fill("[name=amount_min]", "42");
  await page.fill("[name=amount_max]", "42.5");
  await dashboard.shows(euro);
  await page.fill("[name=currency]", "jpy");
  await page.fill("[name=amount_min]", "500");
  await page.fill("[name=amount_max]", "500");
  await dashboard.shows(yen);

  await page.fill("[name=provider]", "adyen");
  await dashboard.says("empty-text", "No payment matches the filters.");
  await page.click("#reset");
  await dashboard.shows(much, yen, euro);
  await dashboard.isFocused("grid");
  assert.equal(page.url(), `${gateway.url}/dashboard`);

  const soon = new Date(Date.now() + 3_600_000).toISOString().slice(0, 16);
  await page.fill("[name=to]", soon);
  await dashboard.shows(much, yen, euro);
  await page.fill("[name=to]", "");
  await page.fill("[name=from]", soon);
  await dashboard.says("empty-text", "No payment matches the filters.");
  await page.fill("[name=from]", "");

  await page.fill("[name=currency]", "E?R");
  await dashboard.says("filter-error", /^The gateway does not understand a filter: .*currency/);
  await page.fill("[name=currency]", "EUR");
  await dashboard.shows(much, euro);
  assert.equal(await page.isVisible("#filter-error"), false);
  await dashboard.close();
});

test("a search finds loaded payments by a part of their id, and any payment by all of it", async (t) => {
  const gateway = await start(t);
  const [paid = "", open = ""] = await create(gateway, 2);
  await gateway.post(paid, PAID);
  const dashboard = await DashboardPage.open(browser, gateway.url, { fragment: "status=created" });
  const { page } = dashboard;
  await dashboard.shows(open);
  await page.fill("#search", open.slice(5, 14));
  await dashboard.shows(open);
  await dashboard.says("summary", "1 of 1 payment");
  await page.fill("#search", paid);
  await dashboard.says("empty-text", "No loaded payment has this id.");
  await page.press("#search", "Enter");
  await dashboard.says("detail-status", "Captured");
  await page.fill("#search", "pi_of_nobody");
  await page.click("#look-up");
  await dashboard.says("detail-status", "Unknown");
  await dashboard.says("timeline-empty", "No event of this payment has come yet.");
  await dashboard.close();
});

test("the gateway is killed and comes back: the page says so, and holds what came meanwhile, once", async (t) => {
  const gateway = await start(t);
  const [early = "", late = ""] = await create(gateway, 2);
  const dashboard = await DashboardPage.open(browser, gateway.url);
  await dashboard.shows(late, early);
  await dashboard.live();
  await dashboard.page.click(`#rows .row:has-text("${early}")`);
  await dashboard.says("detail-status", "Created");
  await gateway.kill();
  await dashboard.says("connection", "Reconnecting");
  await dashboard.says("detail-state", /^Reconnecting/);
  assert.deepEqual(Object.keys(await dashboard.rows()), [late, early], "what is known stays in sight");
  await gateway.run();
  await gateway.post(early, PAID);
  const [later = ""] = await create(gateway, 1);
  await dashboard.shows(later, late, early);
  await dashboard.live();
  await dashboard.showsStatus(early, "Captured");
  await dashboard.says("detail-status", "Captured");
  assert.deepEqual(await dashboard.page.locator("#timeline .code").allTextContents(), [CREATED, PAID]);
  await dashboard.close();
});

test("a list that is trimmed says since when it is complete, and one that is off says so", async (t) => {
  // Each of the 256 partitions holds the same part of it: one payment.
  const gateway = await start(t, { recent: 256 });
  const dashboard = await DashboardPage.open(browser, gateway.url);
  await dashboard.says("summary", "0 payments");
  await Promise.all(Array.from({ length: 600 }, () => gateway.post(newPayment(), CREATED)));
  await dashboard.page.reload();
  const summary = /^\d+ payments · complete since (.+), older ones may be missing$/;
  await dashboard.says("summary", summary);
  const [, since = ""] = summary.exec((await dashboard.page.textContent("#summary")) ?? "") ?? [];
  const age = Date.now() - Date.parse(since);
  assert.ok(age >= 0 && age < 60_000, `the list is complete since a moment of this test, not since ${since}`);
  await dashboard.close();

  const off = await start(t, { recent: 0 });
  const shut = await DashboardPage.open(browser, off.url);
  await shut.says("gate-title", "The list is turned off");
  assert.equal(await shut.page.isVisible("#token-form"), false);
  await shut.close();
});
