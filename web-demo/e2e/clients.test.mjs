/** Real clients against the real gateway: our page's, the browser's own, and the two that are used most from npm. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { EventSource as NodeEventSource } from "eventsource";
import { Gateway, HEARTBEAT_MS, blankPage, launch, newPayment, token, until } from "./support.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Gateway} */
let gateway;

before(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start()]);
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
});

const LIFE = ["payment_intent.created", "payment_intent.processing", "payment_intent.succeeded"];

/**
 * Has the page watch a payment with the client library. What it is told gathers in `window.told`.
 *
 * @param {import("playwright-core").Page} page
 * @param {{ payment: string, tokens: string[], until?: "finished", heartbeatMs: number }} settings the last token is given again
 */
async function watchIn(page, settings) {
  await page.evaluate(async ({ payment, tokens, heartbeatMs, ...rest }) => {
    const { watchPayment } = await import(String("/web/paystream.js"));
    const told = { statuses: [], events: [], connections: [], tokens: 0 };
    Object.assign(window, { told });
    const gather = (/** @type {any[]} */ list) => (/** @type {any} */ value) => list.push(value);
    watchPayment({
      ...rest,
      payment,
      heartbeatMs,
      getToken: async () => tokens[Math.min(told.tokens++, tokens.length - 1)],
      onStatus: gather(told.statuses),
      onEvent: gather(told.events),
      onConnection: gather(told.connections),
    });
  }, settings);
}

/** @typedef {{ statuses: { status: string, seq: number, timeline: { id: string }[] }[], events: { id: string }[], connections: string[], tokens: number }} Told */

/** @param {import("playwright-core").Page} page @returns {Promise<Told>} */
const told = (page) => page.evaluate(() => /** @type {any} */ (window).told);

test("the gateway is killed in the middle of a payment: nothing is missed or seen twice, and order is kept", async () => {
  const page = await blankPage(browser, gateway);
  const payment = newPayment();
  await watchIn(page, { payment, tokens: [token(payment)], heartbeatMs: HEARTBEAT_MS });
  await until("the page is live", async () => (await told(page)).connections.at(-1) === "live");

  const sent = [await gateway.post(payment, LIFE[0] ?? "")];
  await until("the first update", async () => (await told(page)).events.length === 1);
  await gateway.kill();
  await until("the page notices", async () => (await told(page)).connections.at(-1) === "reconnecting");
  await gateway.run();
  for (const type of LIFE.slice(1)) sent.push(await gateway.post(payment, type));

  await until("the last update", async () => (await told(page)).statuses.at(-1)?.status === "captured");
  await until("the page is live again", async () => (await told(page)).connections.at(-1) === "live");
  const { events, statuses } = await told(page);
  assert.deepEqual(events.map(({ id }) => id), sent);
  assert.deepEqual(statuses.at(-1)?.timeline.map(({ id }) => id), sent);
  await page.close();
});

test("an expired token is replaced by the callback, and the stream goes on", async () => {
  const page = await blankPage(browser, gateway);
  const payment = newPayment();
  await watchIn(page, { payment, tokens: [token(payment, 2), token(payment)], heartbeatMs: HEARTBEAT_MS });
  const first = await gateway.post(payment, LIFE[0] ?? "");
  await until("a fresh token was asked for", async () => (await told(page)).tokens >= 2);
  await until("the page is live again", async () => (await told(page)).connections.at(-1) === "live");
  const second = await gateway.post(payment, LIFE[2] ?? "");
  await until("the update after that", async () => (await told(page)).statuses.at(-1)?.status === "captured");
  assert.deepEqual((await told(page)).statuses.at(-1)?.timeline.map(({ id }) => id), [first, second]);
  await page.close();
});

test("a finished payment stays finished: 204, and no further request", async () => {
  const short = await Gateway.start({ linger: "1s" });
  try {
    const page = await blankPage(browser, short);
    const payment = newPayment();
    /** @type {string[]} */
    const requests = [];
    page.on("request", (request) => request.url().includes("/events") && requests.push(request.url()));
    for (const type of LIFE) await short.post(payment, type);
    await watchIn(page, { payment, tokens: [token(payment)], heartbeatMs: HEARTBEAT_MS, until: "finished" });
    await until("the watch is finished", async () => (await told(page)).connections.at(-1) === "finished");

    // A plain EventSource comes back once, is answered by 204, and gives up for good.
    const plain = requests.length;
    await page.evaluate((url) => {
      const source = new EventSource(url);
      Object.assign(window, { source });
    }, short.events(payment, "&until=finished"));
    const state = () => page.evaluate(() => /** @type {any} */ (window).source.readyState);
    await until("the EventSource is closed", async () => (await state()) === 2);
    const seen = requests.length;
    assert.equal(seen - plain, 2, "the stream itself, and the return that is answered by 204");
    await page.waitForTimeout(4_000);
    assert.equal(requests.length, seen);
    await page.close();
  } finally {
    await short.stop();
  }
});

test("a plain EventSource needs no more than onmessage", async () => {
  const page = await blankPage(browser, gateway);
  const payment = newPayment();
  await page.evaluate((url) => {
    /** @type {unknown[]} */
    const messages = [];
    Object.assign(window, { messages });
    new EventSource(url).onmessage = ({ data }) => messages.push(JSON.parse(data));
  }, gateway.events(payment));
  const messages = () => page.evaluate(() => /** @type {any} */ (window).messages);
  await until("the snapshot", async () => (await messages()).length === 1);
  for (const type of LIFE) await gateway.post(payment, type);
  await until("the updates", async () => (await messages()).length === 4);
  const [snapshot, ...updates] = await messages();
  assert.deepEqual([snapshot.type, snapshot.status, snapshot.seq], ["snapshot", "unknown", 0]);
  assert.deepEqual(updates.map((/** @type {any} */ update) => update.status), ["created", "processing", "captured"]);
  assert.deepEqual(updates.map((/** @type {any} */ update) => [update.prev, update.seq]), [[0, 1], [1, 2], [2, 3]]);
  await page.close();
});

test("npm's eventsource follows a payment over a restart", async () => {
  const payment = newPayment();
  /** @type {any[]} */
  const messages = [];
  const source = new NodeEventSource(gateway.events(payment));
  source.onmessage = ({ data }) => messages.push(JSON.parse(data));
  await until("the snapshot", () => messages.length === 1);
  const sent = [await gateway.post(payment, LIFE[0] ?? "")];
  await until("the first update", () => messages.length === 2);
  await gateway.kill();
  await gateway.run();
  for (const type of LIFE.slice(1)) sent.push(await gateway.post(payment, type));
  const updates = () => messages.filter(({ type }) => type === "update");
  await until("the last update", () => updates().at(-1)?.status === "captured");
  source.close();
  assert.deepEqual(updates().map(({ event }) => event.id), sent);
});

test("@microsoft/fetch-event-source follows a payment over a restart, and never sees an empty message", async () => {
  const page = await blankPage(browser, gateway);
  const payment = newPayment();
  await page.evaluate(async ([url, bearer]) => {
    const { fetchEventSource } = await import(String("/web/node_modules/@microsoft/fetch-event-source/lib/esm/index.js"));
    /** @type {string[]} */
    const messages = [];
    Object.assign(window, { messages });
    fetchEventSource(url, {
      headers: { Authorization: `Bearer ${bearer}` },
      openWhenHidden: true,
      onmessage: (/** @type {{ data: string }} */ { data }) => messages.push(data),
    });
  }, [`${gateway.url}/v1/payments/${payment}/events`, token(payment)]);
  /** @returns {Promise<string[]>} */
  const messages = () => page.evaluate(() => /** @type {any} */ (window).messages);
  await until("the snapshot", async () => (await messages()).length === 1);
  const sent = [await gateway.post(payment, LIFE[0] ?? "")];
  await until("the first update", async () => (await messages()).length === 2);
  // Long enough for heartbeats to come, which must stay unheard.
  await page.waitForTimeout(3 * HEARTBEAT_MS);
  await gateway.kill();
  await gateway.run();
  for (const type of LIFE.slice(1)) sent.push(await gateway.post(payment, type));
  const updates = async () => (await messages()).map((data) => JSON.parse(data)).filter(({ type }) => type === "update");
  await until("the last update", async () => (await updates()).at(-1)?.status === "captured");
  assert.deepEqual((await updates()).map(({ event }) => event.id), sent);
  await page.close();
});
