/** Opens the dashboard of a gateway in Chromium, and tells what it shows. */

import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { PATIENCE_MS, token, until } from "./support.mjs";

const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

export class DashboardPage {
  /** Where every request of the page went. @type {string[]} */
  requests = [];
  /** What the browser complained of. @type {string[]} */
  complaints = [];

  /** @param {import("playwright-core").Page} page @param {string} url */
  constructor(page, url) {
    this.page = page;
    this.url = url;
    page.on("request", (request) => this.requests.push(request.url()));
    page.on("pageerror", (error) => this.complaints.push(String(error)));
    page.on("console", (message) => message.text().includes("Content Security Policy") && this.complaints.push(message.text()));
  }

  /**
   * @param {import("playwright-core").Browser} browser
   * @param {string} url the gateway's
   * @param {{ bearer?: string | null, fragment?: string, options?: import("playwright-core").BrowserContextOptions }} [how] `bearer`: null for
   *   none; default: one for all payments
   */
  static async open(browser, url, { bearer = token("*"), fragment = "", options = {} } = {}) {
    const page = await browser.newPage({ locale: "en-GB", timezoneId: "UTC", ...options });
    const dashboard = new DashboardPage(page, url);
    const parts = [fragment, bearer && `token=${bearer}`].filter(Boolean).join("&");
    await page.goto(`${url}/dashboard${parts && `#${parts}`}`);
    return dashboard;
  }

  /** Closes the page, of which nothing may have been complained and which must have kept to its gateway. */
  async close() {
    await this.page.close();
    assert.deepEqual(this.complaints, []);
    assert.deepEqual(this.requests.filter((request) => !request.startsWith(`${this.url}/`)), []);
  }

  /** The rows in sight and a few around them, by payment. @returns {Promise<Record<string, { status: string, amount: string }>>} */
  rows() {
    return this.page.evaluate(() => {
      const text = (/** @type {Element} */ row, /** @type {string} */ name) => row.querySelector(`.${name}`)?.textContent ?? "";
      const rows = [...document.querySelectorAll("#rows .row")];
      return Object.fromEntries(rows.map((row) => [text(row, "id"), { status: text(row, "status"), amount: text(row, "amount") }]));
    });
  }

  /** The rows that are in the page are these payments, from the newest to the oldest. @param {string[]} payments */
  async shows(...payments) {
    await until(`the list is ${payments}`, async () => Object.keys(await this.rows()).join() === payments.join());
  }

  /** @param {string} payment @param {string} status */
  async showsStatus(payment, status) {
    await until(`${payment} is ${status}`, async () => (await this.rows())[payment]?.status === status);
  }

  /** @param {string} id @param {string | RegExp} text */
  async says(id, text) {
    const fits = (/** @type {string} */ said) => (typeof text === "string" ? said === text : text.test(said));
    await until(`#${id} says ${text}`, async () => fits(await this.page.innerText(`#${id}`)));
  }

  live() {
    return this.says("connection", "Live");
  }

  /** The lines of the totals, without their place. */
  async totals() {
    const lines = await this.page.locator("#totals-table tbody tr").allInnerTexts();
    return lines.map((line) => line.replaceAll(/\s+/g, " ").trim());
  }

  /** axe finds nothing wrong with the page as it is. @param {string} when */
  async isAccessible(when) {
    // In the page's own world, which its security policy does not keep from this.
    await this.page.evaluate(axe);
    const { violations } = await this.page.evaluate(() => /** @type {any} */ (window).axe.run());
    const found = violations.map((/** @type {any} */ one) => `${one.id}: ${one.nodes.map((/** @type {any} */ node) => node.html).join(" ")}`);
    assert.deepEqual(found, [], when);
  }

  /** @param {string} id */
  async isFocused(id) {
    await this.page.waitForFunction((id) => document.activeElement?.id === id, id, { timeout: PATIENCE_MS });
  }
}
