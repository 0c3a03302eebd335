/**
 * Real clients against two gateways behind nginx with TLS and HTTP/2, over one payment's life: one node is restarted, one
 * killed, both are away for a while. (Python's client is tested in `tests/it/behind_nginx.rs`.)
 */

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, test } from "node:test";
import { fileURLToPath } from "node:url";
import { Cluster } from "./cluster.mjs";
import { DashboardPage } from "./dashboard-page.mjs";
import { HEARTBEAT_MS, blankPage, eventsUrl, launch, newPayment, token, until } from "./support.mjs";

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Cluster} */
let cluster;
/** @type {import("node:child_process").ChildProcess | undefined} */
let follower;

before(async () => {
  [browser, cluster] = await Promise.all([launch(), Cluster.start()]);
});

after(async () => {
  follower?.kill("SIGKILL");
  await browser?.close();
  await cluster?.stop();
});

/** npm's client, in a process that trusts the cluster's certificate. @param {string} payment */
function followWithNode(payment) {
  const script = fileURLToPath(new URL("eventsource.mjs", import.meta.url));
  const env = { ...process.env, NODE_EXTRA_CA_CERTS: cluster.certificate };
  const child = spawn(process.execPath, [script, eventsUrl(cluster.url, payment)], { env, stdio: ["ignore", "pipe", "inherit"] });
  /** @type {string[]} */
  const messages = [];
  createInterface({ input: child.stdout }).on("line", (line) => messages.push(line));
  follower = child;
  return messages;
}

/** The browser's three clients on one page; what they are told gathers in `window.heard`. @param {import("playwright-core").Page} page @param {string} payment */
async function followInPage(page, payment) {
  await page.evaluate(async ({ url, path, bearer, payment, heartbeatMs }) => {
    /** @type {Record<string, string[]>} */
    const heard = { EventSource: [], "fetch-event-source": [], "paystream.js": [] };
    Object.assign(window, { heard });
    const gather = (/** @type {string} */ client) => (/** @type {{ data: string }} */ { data }) => heard[client]?.push(data);
    new EventSource(url).onmessage = gather("EventSource");

    const { fetchEventSource } = await import(String("/web/node_modules/@microsoft/fetch-event-source/lib/esm/index.js"));
    const headers = { Authorization: `Bearer ${bearer}` };
    fetchEventSource(path, { headers, openWhenHidden: true, onmessage: gather("fetch-event-source") });

    const { watchPayment } = await import(String("/web/paystream.js"));
    const say = (/** @type {object} */ message) => heard["paystream.js"]?.push(JSON.stringify(message));
    watchPayment({
      payment,
      heartbeatMs,
      getToken: async () => bearer,
      onStatus: () => say({ type: "status" }),
      onEvent: (/** @type {object} */ event) => say({ type: "update", event }),
    });
  }, {
    url: eventsUrl("", payment),
    path: `/v1/payments/${payment}/events`,
    bearer: token(payment),
    payment,
    heartbeatMs: HEARTBEAT_MS,
  });
}

test("every client sees every change once and in order, whatever becomes of the nodes", async () => {
  const payment = newPayment();
  const page = await blankPage(browser, cluster);
  const inNode = followWithNode(payment);
  await followInPage(page, payment);
  /** @returns {Promise<[string, any[]][]>} */
  const heard = async () => {
    /** @type {Record<string, string[]>} */
    const inPage = await page.evaluate(() => /** @type {any} */ (window).heard);
    return Object.entries({ ...inPage, eventsource: inNode }).map(([client, lines]) => [client, lines.map((line) => JSON.parse(line))]);
  };
  /** Event ids as each client was told them. */
  const updates = async () => {
    const told = (await heard()).map(([client, messages]) => [client, messages.filter(({ type }) => type === "update").map(({ event }) => event.id)]);
    return /** @type {[string, string[]][]} */ (told);
  };
  await until("each client is live", async () => (await heard()).every(([, messages]) => messages.length > 0));

  /** @type {string[]} */
  const sent = [];
  const post = async (/** @type {string} */ type) => sent.push(await cluster.post(payment, type));
  const arrived = () =>
    until(`event ${sent.length} has come to each client`, async () => (await updates()).every(([, ids]) => ids.length >= sent.length));
  const [one, other] = cluster.gateways;
  assert(one && other);

  await post("payment_intent.created");
  await arrived();

  const drained = one.terminate();
  await post("payment_intent.processing");
  await drained;
  await arrived();
  await one.run();

  await other.kill();
  await post("payment_intent.requires_action");
  await other.run();
  await arrived();

  await Promise.all([one.kill(), other.kill()]);
  // Long enough for clients to come back to nobody.
  await page.waitForTimeout(3_000);
  await Promise.all([one.run(), other.run()]);
  await post("payment_intent.succeeded");
  await arrived();

  for (const [client, ids] of await updates()) assert.deepEqual(ids, sent, client);
  const protocols = await page.evaluate(() => performance.getEntriesByType("resource").map((entry) => /** @type {PerformanceResourceTiming} */ (entry).nextHopProtocol));
  assert(protocols.includes("h2"), `${protocols}`);
  await page.close();
});

test("a page has more streams open than a browser has connections to one origin", async () => {
  const page = await blankPage(browser, cluster);
  const urls = Array.from({ length: 10 }, () => eventsUrl("", newPayment()));
  await page.evaluate((urls) => {
    /** @type {Set<string>} */
    const live = new Set();
    Object.assign(window, { live });
    for (const url of urls) new EventSource(url).onmessage = () => live.add(url);
  }, urls);
  await until("each has its snapshot", () => page.evaluate(() => /** @type {any} */ (window).live.size === 10));
  await page.close();
});

test("the dashboard moves from a gateway that is killed to the other one, and nginx logs no token", async () => {
  const payment = newPayment();
  const dashboard = await DashboardPage.open(browser, cluster.url, { options: { ignoreHTTPSErrors: true } });
  await dashboard.live();
  await cluster.post(payment, "payment_intent.created");
  await dashboard.showsStatus(payment, "Created");
  for (const [gateway, type, status] of /** @type {const} */ ([
    [cluster.gateways[0], "payment_intent.processing", "Processing"],
    [cluster.gateways[1], "payment_intent.succeeded", "Captured"],
  ])) {
    await gateway?.kill();
    await cluster.post(payment, type);
    await dashboard.showsStatus(payment, status);
    await gateway?.run();
  }
  await dashboard.live();
  await dashboard.page.click(`#rows .row:has-text("${payment}")`);
  await dashboard.says("detail-status", "Captured");
  const log = await readFile(join(cluster.folder, "access.log"), "utf8");
  assert.match(log, /GET \/v1\/payments\/events/);
  assert.doesNotMatch(log, /eyJ|token/);
  await dashboard.close();
});
