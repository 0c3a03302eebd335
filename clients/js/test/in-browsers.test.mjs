/** The package as it is built, in pages of a shop, in Chromium and Firefox, against the real gateway. */

import assert from "node:assert/strict";
import { fileURLToPath } from "node:url";
import { after, afterEach, before, describe, test } from "node:test";
import { build } from "esbuild";
import { Shop } from "../../../web-demo/e2e/shop.mjs";
import { Gateway, HEARTBEAT_MS, newPayment, token, until } from "../../../web-demo/e2e/support.mjs";
import { BROWSERS, PLAIN_HOST } from "./browsers.mjs";
import { BufferingProxy } from "./buffering-proxy.mjs";

/** @typedef {{ statuses: string[], events: string[], connections: string[] }} Told */

const LIFE = ["payment_intent.created", "payment_intent.processing", "payment_intent.succeeded"];

/** A page that follows the payments of its query. What it is told gathers in `window.told`. */
const FOLLOW = `
  import { watchPayments } from "@paystream/client";
  const query = new URLSearchParams(location.search);
  window.told = { statuses: [], events: [], connections: [] };
  window.watch = watchPayments({
    url: query.get("gateway"),
    payments: query.getAll("payment"),
    heartbeatMs: Number(query.get("heartbeat") ?? 10_000),
    ...(query.has("until") && { until: "finished" }),
    ...(query.has("keep") && { storage: sessionStorage }),
    ...(query.has("alone") && { share: false }),
    getToken: async () => (await (await fetch("/payment-token?payment=" + query.getAll("payment"), { method: "POST" })).json()).token,
    onStatus: ({ status }) => told.statuses.push(status),
    onEvent: ({ id }) => told.events.push(id),
    onConnection: (connection) => told.connections.push(connection),
  });`;

describe("both browsers at once", { concurrency: true }, () => {
  for (const [name, launch] of Object.entries(BROWSERS)) {
    describe(name, { concurrency: false }, () => {
      /** @type {import("puppeteer-core").Browser} */
      let browser;
      /** @type {Shop} */
      let shop;
      /** @type {Gateway} */
      let gateway;

      before(async () => {
        [browser, shop] = await Promise.all([launch(), Shop.start()]);
        gateway = await Gateway.start({ cors: [shop.url, shop.url.replace("127.0.0.1", PLAIN_HOST)], linger: "3s" });
      });

      after(async () => {
        await browser?.close();
        await Promise.all([shop?.stop(), gateway?.stop()]);
      });

      afterEach(async () => {
        for (const page of await browser.pages()) if (page.url().startsWith("http")) await page.close();
        await until("no stream is left", async () => (await gateway.streams()) === 0);
      });

      /** Opens a page that follows `payment`. @param {string} payment @param {Record<string, string>} [more] @param {string} [origin] */
      async function open(payment, more = {}, origin = shop.url) {
        shop.script = FOLLOW;
        shop.token = () => ({ body: { token: token(payment) } });
        const page = await browser.newPage();
        await page.goto(`${origin}/?${new URLSearchParams({ gateway: gateway.url, payment, ...more })}`);
        await page.waitForFunction("window.told");
        return page;
      }

      /** @param {import("puppeteer-core").Page} page @returns {Promise<Told>} */
      const told = (page) => page.evaluate(() => /** @type {any} */ (window).told);

      /** The page's connection becomes this. @param {import("puppeteer-core").Page} page @param {string} connection */
      const is = (page, connection) => until(`the page is ${connection}`, async () => (await told(page)).connections.at(-1) === connection);

      /** The page is told these events, in this order. @param {import("puppeteer-core").Page} page @param {string[]} events */
      async function hears(page, events) {
        await until(`${events.length} events have come`, async () => (await told(page)).events.length >= events.length);
        assert.deepEqual((await told(page)).events, events);
      }

      test("a payment is followed over the end of its gateway, and nothing is missed or told twice", async () => {
        const payment = newPayment();
        const page = await open(payment);
        await is(page, "live");
        const sent = [await gateway.post(payment, LIFE[0] ?? "")];
        await hears(page, sent);
        await gateway.kill();
        await is(page, "reconnecting");
        await gateway.run();
        for (const type of LIFE.slice(1)) sent.push(await gateway.post(payment, type));
        await hears(page, sent);
        assert.equal((await told(page)).statuses.at(-1), "captured");
      });

      test("tabs that follow the same payment share one connection, and when its tab is closed another one goes on", async () => {
        const payment = newPayment();
        const before = shop.asked;
        const pages = [await open(payment), await open(payment), await open(payment)];
        for (const page of pages) await is(page, "live");
        const sent = [await gateway.post(payment, LIFE[0] ?? "")];
        for (const page of pages) await hears(page, sent);
        assert.equal(await gateway.streams(), 1);
        assert.equal(shop.asked - before, 1, "only the tab with the connection needs a token");

        await pages.shift()?.close();
        sent.push(await gateway.post(payment, LIFE[1] ?? ""));
        for (const page of pages) await hears(page, sent);
        assert.equal(await gateway.streams(), 1);
        assert.equal(shop.asked - before, 2);
      });

      test("a tab that hangs with the connection is overtaken, and is only one of the others when it is back", async () => {
        const payment = newPayment();
        // So short that its silence is noticed soon.
        const heartbeat = { heartbeat: `${HEARTBEAT_MS}` };
        const [hanging, other] = [await open(payment, heartbeat), await open(payment, heartbeat)];
        for (const page of [hanging, other]) await is(page, "live");
        const hung = hanging.evaluate(() => {
          const end = Date.now() + 7_000;
          while (Date.now() < end);
        });
        const sent = [await gateway.post(payment, LIFE[0] ?? "")];
        await hears(other, sent);
        await hung;
        sent.push(await gateway.post(payment, LIFE[2] ?? ""));
        for (const page of [hanging, other]) await hears(page, sent);
        await until("there is one stream", async () => (await gateway.streams()) === 1);
      });

      test("a tab whose token is refused ends alone, and the others end together once the payment is finished", async () => {
        const payment = newPayment();
        const pages = [await open(payment, { until: "finished" }), await open(payment, { until: "finished" })];
        for (const page of pages) await is(page, "live");
        shop.token = () => ({ body: { token: token(newPayment()) } });
        const [first, second] = pages;
        assert(first && second);
        await first.evaluate(() => /** @type {any} */ (window).watch.close());
        await is(second, "refused");
        assert.deepEqual((await told(first)).connections, ["connecting", "live", "closed"]);

        const others = [await open(payment, { until: "finished" }), await open(payment, { until: "finished" })];
        for (const page of others) await is(page, "live");
        for (const type of LIFE) await gateway.post(payment, type);
        for (const page of others) await is(page, "finished");
        assert.equal((await told(second)).connections.at(-1), "refused");
      });

      test("a page without Web Locks, or that does not want to share, has a connection of its own", async () => {
        const payment = newPayment();
        const plain = shop.url.replace("127.0.0.1", PLAIN_HOST);
        const pages = [await open(payment, {}, plain), await open(payment, {}, plain), await open(payment, { alone: "" })];
        for (const page of pages) await is(page, "live");
        assert.equal(await gateway.streams(), 3);
        const sent = [await gateway.post(payment, LIFE[0] ?? "")];
        for (const page of pages) await hears(page, sent);
      });

      test("a tab for which the browser has no connection left says so, and is live once one is free", async () => {
        const pages = [];
        for (let tab = 0; tab < 6; tab += 1) {
          const page = await open(newPayment());
          await is(page, "live");
          pages.push(page);
        }
        const waiting = [await open(newPayment()), await open(newPayment())];
        for (const page of waiting) await is(page, "crowded");
        assert.deepEqual((await told(waiting[0] ?? assert.fail())).connections, ["connecting", "crowded"]);
        for (const page of waiting) {
          await pages.shift()?.close();
          await until("one of those that waited is live", async () =>
            (await Promise.all(waiting.map(told))).filter(({ connections }) => connections.at(-1) === "live").length > waiting.indexOf(page),
          );
        }
      });

      test("behind a proxy that withholds the stream, polls bring each change at once, until the payment is finished", async () => {
        const proxy = await BufferingProxy.start(gateway.url);
        try {
          const payment = newPayment();
          const page = await open(payment, { gateway: proxy.url, until: "finished" });
          await is(page, "live");
          const sent = [];
          for (const type of LIFE) {
            sent.push(await gateway.post(payment, type));
            const posted = Date.now();
            await hears(page, sent);
            assert(Date.now() - posted < 8_000, `${Date.now() - posted} ms`);
          }
          await is(page, "finished");
          assert.deepEqual((await told(page)).connections, ["connecting", "live", "finished"]);
        } finally {
          await proxy.stop();
        }
      });

      test("a page that is loaded again continues where it was, and is told what it has missed", async () => {
        const payment = newPayment();
        const page = await open(payment, { keep: "" });
        await is(page, "live");
        await hears(page, [await gateway.post(payment, LIFE[0] ?? "")]);
        const address = page.url();
        await page.goto(`${shop.url}/page.js`);
        const missed = await gateway.post(payment, LIFE[1] ?? "");
        await page.goto(address);
        await page.waitForFunction("window.told");
        await hears(page, [missed]);
        await is(page, "live");
        assert.deepEqual((await told(page)).statuses, ["processing"]);
      });

      test("usePayment is the state of a component, which follows another payment when it is given one", async () => {
        const [first, second] = [newPayment(), newPayment()];
        const { outputFiles } = await build({
          stdin: { contents: COMPONENT, resolveDir: fileURLToPath(new URL(".", import.meta.url)), loader: "jsx" },
          bundle: true,
          write: false,
          format: "esm",
          jsx: "automatic",
          define: { "process.env.NODE_ENV": '"development"', GATEWAY: JSON.stringify(gateway.url) },
        });
        shop.script = outputFiles[0]?.text ?? "";
        const page = await browser.newPage();
        await page.goto(shop.url);
        const shows = (/** @type {string} */ text) =>
          until(`the component shows ${text}`, async () => (await page.evaluate(() => document.querySelector("#payment")?.textContent)) === text);
        await shows("nothing connecting");
        const show = (/** @type {string} */ payment) =>
          page.evaluate((payment, token) => /** @type {any} */ (window).show(payment, token), payment, token(payment));
        await show(first);
        await shows("unknown live");
        await gateway.post(first, LIFE[0] ?? "");
        await shows("created live");
        await gateway.post(second, LIFE[2] ?? "");
        await show(second);
        await shows("captured live");
        await until("the first one is followed no more", async () => (await gateway.streams()) === 1);
        await page.evaluate(() => /** @type {any} */ (window).unmount());
        await until("none is followed any more", async () => (await gateway.streams()) === 0);
      });

      test("<payment-status> shows status, price and connection, in the page's words, to eyes and ears", async () => {
        const payment = newPayment();
        shop.script = `
          import "@paystream/client/element";
          window.fired = [];
          addEventListener("payment-status", ({ detail }) => fired.push(detail.status));
          document.querySelector("#payment").innerHTML = \`
            <style>payment-status::part(amount) { color: rgb(1, 2, 3) }</style>
            <payment-status gateway="${gateway.url}" payment="${payment}" token-url="/payment-token" lang="de"
              text-created="Begonnen" text-captured="Bezahlt"></payment-status>\`;`;
        shop.token = () => ({ body: { token: token(payment) } });
        const page = await browser.newPage();
        await page.goto(shop.url);
        const look = () =>
          page.evaluate(() => {
            const element = document.querySelector("payment-status");
            const part = (/** @type {string} */ name) => /** @type {HTMLElement} */ (element?.shadowRoot?.querySelector(`[part=${name}]`));
            return {
              spoken: element?.shadowRoot?.querySelector("[role=status]")?.textContent,
              connection: part("connection").hidden ? "" : part("connection").textContent,
              color: getComputedStyle(part("amount")).color,
              attributes: [element?.getAttribute("status"), element?.getAttribute("connection")],
            };
          });
        const shows = (/** @type {string} */ spoken) => until(`it says ${spoken}`, async () => (await look()).spoken === spoken);
        await page.waitForSelector("payment-status[connection=live]");
        await shows("Waiting for the payment ");
        await gateway.post(payment, LIFE[0] ?? "");
        await shows("Begonnen 42,00\u00a0€");
        assert.deepEqual(await look(), { spoken: "Begonnen 42,00\u00a0€", connection: "", color: "rgb(1, 2, 3)", attributes: ["created", "live"] });
        await page.evaluate(() => document.querySelector("payment-status")?.setAttribute("lang", "en"));
        await shows("Begonnen €42.00");
        await gateway.post(payment, LIFE[2] ?? "");
        await shows("Bezahlt €42.00");
        assert.deepEqual(await page.evaluate(() => /** @type {any} */ (window).fired), ["unknown", "created", "captured"]);

        // Another payment: its token is of the page's own making, and does not fit.
        await page.evaluate((payment) => {
          const element = /** @type {import("../src/element.js").PaymentStatus} */ (document.querySelector("payment-status"));
          element.removeAttribute("token-url");
          element.setAttribute("token", "none");
          element.setAttribute("payment", payment);
        }, newPayment());
        await page.waitForSelector("payment-status[connection=refused]");
        assert.deepEqual([(await look()).spoken, (await look()).connection], [" ", "The payment cannot be shown"]);
        await page.evaluate(() => document.querySelector("payment-status")?.remove());
        await until("nothing is followed any more", async () => (await gateway.streams()) === 0);
      });
    });
  }
});

/** A page whose component shows the payment that `show` names. */
const COMPONENT = `
  import { StrictMode } from "react";
  import { createRoot } from "react-dom/client";
  import { usePayment } from "@paystream/client/react";

  function Payment({ payment, token }) {
    const { payment: known, connection } = usePayment({ url: GATEWAY, payment, getToken: async () => token });
    return (known?.status ?? "nothing") + " " + connection;
  }

  const root = createRoot(document.querySelector("#payment"));
  window.show = (payment, token) => root.render(<StrictMode><Payment payment={payment} token={token} /></StrictMode>);
  window.unmount = () => root.unmount();
  window.show(undefined, undefined);
`;
