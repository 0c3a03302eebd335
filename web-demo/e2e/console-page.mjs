/** Opens the operators' console of a gateway in Chromium, and tells what it shows. */

import assert from "node:assert/strict";
import { DashboardPage } from "./dashboard-page.mjs";
import { Gateway } from "./support.mjs";

export const ADMIN_TOKEN = "an-admin-token-of-the-tests-7c41";
export const READER_TOKEN = "a-token-for-reading-of-the-tests-19e0";

/** A gateway with two operators and a source whose payloads may be beyond its preset. */
export function startGateway() {
  const more = `
[admin]
token = "env:E2E_ADMIN_TOKEN"
[[admin.operator]]
name = "bob"
role = "read"
token = "env:E2E_READER_TOKEN"
`;
  return Gateway.start({ more, environment: { E2E_ADMIN_TOKEN: ADMIN_TOKEN, E2E_READER_TOKEN: READER_TOKEN } });
}

export class ConsolePage extends DashboardPage {
  /**
   * @param {import("playwright-core").Browser} browser
   * @param {Gateway} gateway
   * @param {{ place?: string, options?: import("playwright-core").BrowserContextOptions, token?: string | null }} [how] `token`: null for nobody
   */
  static async enter(browser, gateway, { place = "", options = {}, token = ADMIN_TOKEN } = {}) {
    const context = await browser.newContext({ locale: "en-GB", timezoneId: "UTC", ...options });
    const page = await context.newPage();
    const console = new ConsolePage(page, gateway.admin);
    await page.goto(`${gateway.admin}/console${place}`);
    await console.says("gate-title", "Sign in");
    if (token !== null) {
      await console.signIn(token);
      await console.live();
    }
    return console;
  }

  /** @param {string} token */
  async signIn(token) {
    await this.page.fill("#token", token);
    await this.page.press("#token", "Enter");
  }

  /** @param {string} name as the link says */
  async go(name) {
    await this.page.click(`#nav a:text-is("${name}")`);
    await this.isFocused(`${name.toLowerCase()}-title`);
  }

  /** @override */
  async close() {
    await super.close();
    await this.page.context().close();
  }

  /** The texts of a table's rows. @param {string} id of its body @returns {Promise<string[]>} */
  async lines(id) {
    const lines = await this.page.locator(`#${id} tr`).allInnerTexts();
    return lines.map((line) => line.replaceAll(/\s+/g, " ").trim());
  }

  /** Nothing of what the page shows or keeps where scripts read it is one of these. @param {...string} secrets */
  async hides(...secrets) {
    const all = await this.page.evaluate(() => {
      const storage = [localStorage, sessionStorage].map((storage) => JSON.stringify(storage)).join();
      const fields = [...document.querySelectorAll("input")].map(({ value }) => value).join();
      return [document.documentElement.outerHTML, document.cookie, storage, fields, location.href].join("\n");
    });
    for (const secret of secrets) assert(!all.includes(secret), `the page holds ${secret}`);
    assert.deepEqual(this.requests.filter((request) => secrets.some((secret) => request.includes(secret))), []);
  }
}
