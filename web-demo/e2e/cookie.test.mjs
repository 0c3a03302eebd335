/** A token in a cookie, which a page of another origin sends along: real Chromium, a shop, a gateway. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { Shop } from "./shop.mjs";
import { Gateway, HEARTBEAT_MS, launch, newPayment, token, until } from "./support.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Shop} */
let shop;
/** @type {Gateway} */
let gateway;

before(async () => {
  [browser, shop] = await Promise.all([launch(), Shop.start()]);
  gateway = await Gateway.start({ cors: [shop.url] });
});

after(async () => {
  await browser?.close();
  await Promise.all([shop?.stop(), gateway?.stop()]);
});

/**
 * A page of the shop that watches a payment, with nothing but the cookie to show for it. What it is told gathers in
 * `window.told`.
 *
 * @param {string} payment
 * @param {string} options more of `watchPayment`'s, as JavaScript
 */
async function watchingPage(payment, options) {
  shop.script = `
    import { watchPayment } from "@paystream/client";
    window.told = { statuses: [], events: [], connections: [] };
    const askShop = () => fetch("/payment-token", { method: "POST" });
    await askShop();
    watchPayment({
      url: "${gateway.url}",
      payment: "${payment}",
      heartbeatMs: ${HEARTBEAT_MS},
      onStatus: ({ status }) => told.statuses.push(status),
      onEvent: ({ id }) => told.events.push(id),
      onConnection: (connection) => told.connections.push(connection),
      ${options}
    });`;
  const page = await (await browser.newContext()).newPage();
  await page.goto(shop.url);
  return page;
}

/** @param {import("playwright-core").Page} page @returns {Promise<{ statuses: string[], events: string[], connections: string[] }>} */
const told = (page) => page.evaluate(() => /** @type {any} */ (window).told);

/** Has the shop set the cookie, for each request another one. @param {string} payment @param {number[]} livesS the last one again and again */
function giveCookies(payment, ...livesS) {
  const before = shop.asked;
  shop.token = (asked) => {
    const cookie = `paystream_token=${token(payment, livesS[asked - before - 1] ?? livesS.at(-1))}; Path=/; HttpOnly; SameSite=Strict`;
    return { headers: { "set-cookie": cookie }, body: {} };
  };
}

test("withCredentials sends the cookie to a gateway of another origin", async () => {
  const payment = newPayment();
  giveCookies(payment, 600);
  const page = await watchingPage(payment, "withCredentials: true,");
  await until("the page is live", async () => (await told(page)).connections.at(-1) === "live");
  const id = await gateway.post(payment, "payment_intent.succeeded");
  await until("the update", async () => (await told(page)).events.length === 1);
  assert.deepEqual(await told(page), { statuses: ["unknown", "captured"], events: [id], connections: ["connecting", "live"] });
  await page.context().close();
});

test("without withCredentials the cookie stays behind, and the page is refused", async () => {
  const payment = newPayment();
  giveCookies(payment, 600);
  const page = await watchingPage(payment, "");
  await until("the page is refused", async () => (await told(page)).connections.at(-1) === "refused");
  assert.deepEqual((await told(page)).statuses, []);
  await page.context().close();
});

test("a cookie that expired is set anew by getToken, and the stream goes on where it was", async () => {
  const payment = newPayment();
  giveCookies(payment, 600, 4, 600);
  const page = await watchingPage(payment, "withCredentials: true, getToken: async () => void (await askShop()),");
  await until("the page is live", async () => (await told(page)).connections.at(-1) === "live");
  const first = await gateway.post(payment, "payment_intent.created");
  await until("the cookie has expired", async () => (await told(page)).connections.includes("reconnecting"));
  await until("the page is live again", async () => (await told(page)).connections.at(-1) === "live");
  const second = await gateway.post(payment, "payment_intent.succeeded");
  await until("the update after that", async () => (await told(page)).events.length === 2);
  assert.deepEqual((await told(page)).events, [first, second]);
  assert.deepEqual((await told(page)).statuses, ["unknown", "created", "captured"]);
  await page.context().close();
});

test("the plain request of a page whose connection died has the cookie too, and says why", async () => {
  const payment = newPayment();
  giveCookies(payment, 4);
  const page = await watchingPage(payment, "withCredentials: true,");
  await until("the page is live", async () => (await told(page)).connections.at(-1) === "live");
  // The cookie ends with nothing to renew it: the stream is closed, and 401 is the answer to both who come back.
  const answer = page.waitForResponse((response) => response.request().resourceType() === "fetch" && response.url().startsWith(gateway.url));
  await until("the page is refused", async () => (await told(page)).connections.at(-1) === "refused");
  const { cookie } = await (await answer).request().allHeaders();
  assert.match(cookie ?? "", /^paystream_token=/);
  assert.equal((await answer).headers()["access-control-allow-credentials"], "true");
  await page.context().close();
});

test("a page of an origin that is not listed cannot read a payment, cookie or not", async () => {
  const payment = newPayment();
  const other = await Shop.start();
  try {
    await gateway.post(payment, "payment_intent.succeeded");
    const page = await (await browser.newContext()).newPage();
    await page.context().addCookies([{ name: "paystream_token", value: token(payment), domain: "127.0.0.1", path: "/" }]);
    await page.goto(other.url);
    const outcome = await page.evaluate(
      (url) => fetch(url, { credentials: "include" }).then(() => "read", (error) => error.name),
      `${gateway.url}/v1/payments/${payment}`,
    );
    assert.equal(outcome, "TypeError");
    await page.context().close();
  } finally {
    await other.stop();
  }
});
