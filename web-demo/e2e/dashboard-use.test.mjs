/** The dashboard for everyone: by keyboard, with a screen reader, on a phone, in the dark, without motion. */

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { DashboardPage } from "./dashboard-page.mjs";
import { Gateway, launch, newPayment, until } from "./support.mjs";

const [CREATED, PAID] = ["payment_intent.created", "payment_intent.succeeded"];
const PAYMENTS = 120;

/** @type {import("playwright-core").Browser} */
let browser;
/** @type {Gateway} */
let gateway;

before(async () => {
  [browser, gateway] = await Promise.all([launch(), Gateway.start()]);
  for (let made = 0; made < PAYMENTS; made += 1) await gateway.post(newPayment(), made % 2 ? CREATED : PAID);
});

after(async () => {
  await browser?.close();
  await gateway?.stop();
});

const WIDE = { width: 1_500, height: 900 };
const MIDDLE = { width: 1_000, height: 800 };
const PHONE = { width: 390, height: 800 };

/** @param {import("playwright-core").BrowserContextOptions} [options] */
async function open(options = {}) {
  const dashboard = await DashboardPage.open(browser, gateway.url, { options });
  await dashboard.says("summary", /^\d+ payments$/);
  await dashboard.live();
  return dashboard;
}

/** The row that the keyboard is on: the index of its payment, and whether it is in sight. @param {DashboardPage} dashboard */
function active({ page }) {
  return page.evaluate(() => {
    const grid = /** @type {HTMLElement} */ (document.getElementById("grid"));
    const row = document.getElementById(grid.getAttribute("aria-activedescendant") ?? "");
    const head = grid.querySelector(".head")?.getBoundingClientRect().bottom ?? 0;
    const [outer, inner] = [grid.getBoundingClientRect(), row?.getBoundingClientRect()];
    const inSight = inner && inner.top >= head - 1 && inner.bottom <= outer.bottom + 1;
    return { index: Number(row?.getAttribute("aria-rowindex")) - 2, inSight, ring: row && getComputedStyle(row).outlineStyle };
  });
}

for (const [name, viewport] of Object.entries({ wide: WIDE, middle: MIDDLE, phone: PHONE })) {
  test(`the list is walked, opened and left by keyboard alone (${name})`, async () => {
    const dashboard = await open({ viewport });
    const { page } = dashboard;
    // As many steps as it takes, but only by the key that everybody knows.
    for (let step = 0; step < 30 && !(await page.evaluate(() => document.activeElement?.id === "grid")); step += 1) {
      await page.keyboard.press("Tab");
    }
    await dashboard.isFocused("grid");
    const sees = async (/** @type {number} */ index) => assert.deepEqual(await active(dashboard), { index, inSight: true, ring: "solid" });
    await sees(0);
    await page.keyboard.press("ArrowUp");
    await sees(0);
    for (let step = 0; step < 40; step += 1) await page.keyboard.press("ArrowDown");
    await sees(40);
    await page.keyboard.press("PageUp");
    assert((await active(dashboard)).index < 39);
    await page.keyboard.press("PageDown");
    await sees(40);
    await page.keyboard.press("End");
    const count = Number(await page.getAttribute("#grid", "aria-rowcount")) - 1;
    await sees(count - 1);
    await page.keyboard.press("Home");
    await sees(0);

    await page.keyboard.press("ArrowDown");
    const payment = Object.keys(await dashboard.rows())[1] ?? "";
    await page.keyboard.press("Enter");
    await dashboard.isFocused("detail-title");
    await dashboard.says("detail-id", payment);
    assert.equal(await page.locator(`.row:has-text("${payment}")`).getAttribute("aria-selected"), "true");
    // Where the details cover everything, the keyboard does not reach what is below them.
    assert.equal(await page.evaluate(() => document.getElementById("browse")?.inert), name === "phone");
    await page.keyboard.press("Escape");
    await dashboard.isFocused("grid");
    assert.equal(await page.isVisible("#detail"), false);
    await sees(1);
    await dashboard.close();
  });
}

test("the keyboard stays on its payment, and what is in sight stays where it is, as others come above it", async () => {
  const dashboard = await open({ viewport: WIDE });
  const { page } = dashboard;
  await page.focus("#grid");
  for (let step = 0; step < 30; step += 1) await page.keyboard.press("ArrowDown");
  const state = () =>
    page.evaluate(() => {
      const row = document.getElementById(document.getElementById("grid")?.getAttribute("aria-activedescendant") ?? "");
      return { payment: row?.querySelector(".id")?.textContent, top: Math.round(row?.getBoundingClientRect().top ?? 0) };
    });
  const [before, { index }] = [await state(), await active(dashboard)];
  for (let made = 0; made < 5; made += 1) await gateway.post(newPayment(), CREATED);
  await until("they came", async () => (await active(dashboard)).index === index + 5);
  assert.deepEqual(await state(), before);
  await dashboard.close();
});

for (const colorScheme of /** @type {const} */ (["light", "dark"])) {
  test(`axe finds nothing, wide, narrow and on a phone (${colorScheme})`, async () => {
    for (const viewport of [WIDE, MIDDLE, PHONE]) {
      const shut = await DashboardPage.open(browser, gateway.url, { bearer: null, options: { viewport, colorScheme } });
      await shut.says("gate-title", "Open with a token");
      await shut.isAccessible("gate");
      await shut.close();
      // What fades in has too little contrast for a moment.
      const dashboard = await open({ viewport, colorScheme, reducedMotion: "reduce" });
      const { page } = dashboard;
      await dashboard.isAccessible("list");
      if (viewport !== WIDE) await page.click("#filters-toggle");
      await dashboard.isAccessible("filters and totals");
      await page.fill("[name=currency]", "???");
      await dashboard.says("filter-error", /currency/);
      await dashboard.isAccessible("a filter that is refused");
      await page.fill("[name=currency]", "XYZ");
      await dashboard.says("empty-text", "No payment matches the filters.");
      await dashboard.isAccessible("empty");
      await page.click("#reset");
      await dashboard.says("summary", /^\d\d+ payments$/);
      await page.click("#rows .row");
      await dashboard.says("detail-status", /./);
      await dashboard.isAccessible("details");
      await dashboard.close();
    }
  });
}

test("a screen reader is told of what matters, and not of each payment", async () => {
  const dashboard = await open({ viewport: WIDE });
  await dashboard.page.evaluate(() => {
    /** @type {string[]} */
    const told = [];
    Object.assign(window, { told });
    for (const place of document.querySelectorAll("[role=status], [role=alert], [aria-live]")) {
      const tell = () => told.push(place.textContent?.trim() ?? "");
      new MutationObserver(tell).observe(place, { childList: true, characterData: true, subtree: true });
    }
  });
  const [newest = ""] = Object.keys(await dashboard.rows());
  await dashboard.page.click("#rows .row");
  await dashboard.says("detail-status", /./);
  const count = Number(await dashboard.page.getAttribute("#grid", "aria-rowcount"));
  for (let made = 0; made < 30; made += 1) await gateway.post(newPayment(), CREATED);
  await until("they came", async () => Number(await dashboard.page.getAttribute("#grid", "aria-rowcount")) === count + 30);
  await gateway.post(newest, PAID);
  await dashboard.says("detail-status", "Captured");
  /** @type {string[]} */
  const told = await dashboard.page.evaluate(() => /** @type {any} */ (window).told.filter((/** @type {string} */ text) => text !== ""));
  assert.equal(told.at(-1), "Captured");
  assert(told.length <= 3, JSON.stringify(told));
  await dashboard.close();
});

for (const reducedMotion of /** @type {const} */ (["reduce", "no-preference"])) {
  test(`a change is ${reducedMotion === "reduce" ? "not animated for who wants no motion" : "animated for all others"}`, async () => {
    const dashboard = await open({ viewport: WIDE, reducedMotion });
    const { page } = dashboard;
    await page.evaluate(() => {
      let seen = 0;
      const look = () => {
        seen += document.getAnimations().length;
        Object.assign(window, { seen });
        requestAnimationFrame(look);
      };
      look();
    });
    const payment = newPayment();
    await gateway.post(payment, CREATED);
    await dashboard.showsStatus(payment, "Created");
    await gateway.post(payment, PAID);
    await dashboard.showsStatus(payment, "Captured");
    await page.click(`#rows .row:has-text("${payment}")`);
    await dashboard.says("timeline", /./);
    const seen = await page.evaluate(() => /** @type {any} */ (window).seen);
    assert.equal(seen > 0, reducedMotion !== "reduce", `${seen}`);
    await dashboard.close();
  });
}

test("a phone shows each payment whole, without a way to the side", async () => {
  const dashboard = await open({ viewport: PHONE, hasTouch: true, isMobile: true });
  const { page } = dashboard;
  const sideways = () => page.evaluate(() => document.documentElement.scrollWidth - innerWidth);
  assert.equal(await sideways(), 0);
  await page.tap("#filters-toggle");
  assert.equal(await sideways(), 0);
  await page.tap("#filters-toggle");
  await page.tap("#rows .row");
  await dashboard.says("detail-status", /./);
  assert.equal(await sideways(), 0);
  const covers = await page.evaluate(() => {
    const { left, top, right, bottom } = /** @type {HTMLElement} */ (document.getElementById("detail")).getBoundingClientRect();
    return [left, top, right - innerWidth, bottom - innerHeight];
  });
  assert.deepEqual(covers, [0, 0, 0, 0]);
  await page.tap("#detail-close");
  assert.equal(await page.isVisible("#grid"), true);
  await dashboard.close();
});
